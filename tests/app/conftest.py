"""A run that tests may write to, and its model."""

import shutil
from pathlib import Path

import pytest

import lptpp
from lptpp.inference.model import Model
from tests.conftest import Run


@pytest.fixture(scope="module")
def run(trained: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(shutil.copytree(trained.folder, tmp_path_factory.mktemp("app") / "my run"))


@pytest.fixture(scope="module")
def model(run: Path) -> Model:
    return lptpp.load(run)
