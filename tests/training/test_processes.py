"""A run on several processes: the same bits for any number that divides `shards`; they end together, and resume."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from lptpp import api
from lptpp.checkpoint.store import latest_checkpoint
from tests.ranks import printed, run_ranks
from tests.training.test_resume import assert_same_run

SHORT = (
    "shards=4", "phase1.epochs=1", "phase2.epochs=1", "phase3.epochs=1", "evaluation.batch_size=3", "data.validation=0.3",
    "evaluation.each_epoch=true", "evaluation.baselines=[class_means]", "evaluation.controls=[none]",
)  # fmt: skip


@pytest.fixture(scope="module")
def alone(settings_of, tmp_path_factory) -> Path:
    """Return the folder of a run in one process."""
    folder = tmp_path_factory.mktemp("alone") / "run"
    api.fit(settings_of(folder, *SHORT))
    return folder


@pytest.mark.parametrize("count", [2, 4])
def test_any_number_of_processes_gives_the_same_run(count: int, alone, settings_of, tmp_path):
    settings = settings_of(tmp_path / "run", *SHORT)
    assert run_ranks(lambda: api.fit(settings), count, tmp_path) == [0] * count, printed(tmp_path)
    assert_same_run(tmp_path / "run", alone)
    for name in ("predictions.csv", "per_class.csv", "confusion.csv", "groups.csv"):
        assert (tmp_path / "run" / name).read_bytes() == (alone / name).read_bytes()
