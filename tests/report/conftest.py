"""A fabricated run that many tests read."""

from pathlib import Path

import pytest

from lptpp.evaluation.table import ResultRow
from lptpp.report.gather import EvaluatedRun, gather
from tests.report.made import make_run

COUNTS = (150, 120, 90, 40, 25, 20, 19, 12, 12, 8, 3, 3, 1, 0)
TESTED = (9, 6, 5, 5, 4, 4, 3, 3, 3, 3, 2, 2, 0, 2)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("made") / "run"
    return make_run(path, COUNTS, tested=TESTED, extra_rows=[ResultRow("mixture", views="five_crops")])


@pytest.fixture(scope="session")
def run(folder: Path) -> EvaluatedRun:
    return gather(folder)
