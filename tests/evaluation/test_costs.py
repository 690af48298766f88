"""What the rows of a table cost, read from a run folder."""

import json
from pathlib import Path

import pytest

from lptpp.evaluation.costs import row_costs, trainable, training_seconds
from lptpp.evaluation.table import AVERAGE, MIXTURE, ResultRow

PARTS = {
    "visual": {"shared prompts": 8, "adapters": 16, "group prompts": 32, "classifier": 64},
    "language": {"adapters": 100, "classifier": 200},
    "scorer": {"scorer": 1000},
}
METRICS = {"tuned_parts": PARTS, "result": "mixture", "rows": {}}
HISTORY = """stage,epoch,cpu_seconds
visual/phase1,1,1
visual/phase1,2,2
visual/phase2,1,4
language/phase1,1,8
mixture/phase3,1,16
"""


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("language.zero_shot", 0),
        ("visual.class_means", 0),
        ("visual.linear_probe", 64),
        ("visual.balanced_probe", 64),
        ("joint_linear_probe", 264),
        ("visual.phase1", 8 + 16 + 64),
        ("visual.phase2", 8 + 16 + 32 + 64),
        ("visual.phase2_random", 8 + 16 + 32 + 64),
        ("visual.phase2_none", 8 + 16 + 64),
        ("average", 8 + 16 + 32 + 64 + 300),
        ("mixture", 8 + 16 + 32 + 64 + 300 + 1000),
        ("mixture.flip", 8 + 16 + 32 + 64 + 300 + 1000),
    ],
)
def test_trainable_parameters_are_those_of_the_row(row: str, expected: int) -> None:
    assert trainable(PARTS, ResultRow.parse(row)) == expected


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("visual.phase1", 3),
        ("visual.phase2", 7),
        ("visual.phase2_mean", 7),
        ("visual.phase2_none", 7),
        ("average", 15),
        ("mixture", 31),
        ("mixture.prior=uniform", 31),
        ("visual.class_means", None),
        ("joint_balanced_probe", None),
    ],
)
def test_the_training_time_is_that_of_the_phases_behind_the_row(row: str, expected: float, tmp_path: Path) -> None:
    history = tmp_path / "history.csv"
    history.write_text(HISTORY)
    assert training_seconds(history, ResultRow.parse(row)) == expected


def test_what_was_not_recorded_is_none(tmp_path: Path) -> None:
    assert row_costs(tmp_path, METRICS, MIXTURE) == {
        "tuned_parameters": 8 + 16 + 32 + 64 + 300 + 1000,
        "training_cpu_seconds": None,
        "images_per_second": None,
    }
    (tmp_path / "history.csv").write_text("stage,epoch,seconds\nvisual/phase1,1,3\n")  # no processor time
    assert row_costs(tmp_path, METRICS, ResultRow("phase1", "visual"))["training_cpu_seconds"] is None
    (tmp_path / "history.csv").write_text("stage,epoch,cpu_seconds\nvisual/phase1,1,\nvisual/phase1,2,3\n")  # begun
    assert row_costs(tmp_path, METRICS, ResultRow("phase1", "visual"))["training_cpu_seconds"] is None


def test_a_measured_speed_belongs_to_its_row(tmp_path: Path) -> None:
    (tmp_path / "images_per_second.json").write_text(json.dumps({"mixture": 250.5}))
    assert row_costs(tmp_path, METRICS, MIXTURE)["images_per_second"] == 250.5
    assert row_costs(tmp_path, METRICS, AVERAGE)["images_per_second"] is None
