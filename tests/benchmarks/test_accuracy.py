"""The accuracy table: the runs it trains and the metrics it reads."""

import json
from pathlib import Path

import pytest
import yaml

from benchmarks.accuracy import __main__ as accuracy
from benchmarks.accuracy.inference import images_per_second
from lptpp.evaluation.compare import Spread
from lptpp.training.fit import fit

PLANS = yaml.safe_load(accuracy.PLANS.read_text(encoding="utf-8"))
PARTS = {"visual": {"classifier": 64}, "scorer": {"scorer": 1000}}
METRICS = {"tuned_parts": PARTS, "result": "mixture", "split": "test", "shot_thresholds": [20, 100]}


def plan(name: str) -> accuracy.AccuracyPlan:
    return accuracy.AccuracyPlan(name, **PLANS[name])


def write_run(folder: Path, overall: float) -> None:
    folder.mkdir(parents=True)
    rows = {"visual.phase1": {"overall": 1.0}, "mixture": {"overall": overall}}
    (folder / "metrics.json").write_text(json.dumps(METRICS | {"rows": rows}))


@pytest.mark.parametrize("name", list(PLANS))
def test_every_run_has_valid_settings(name: str, tmp_path: Path) -> None:
    for run in PLANS[name]["fits"]:
        settings = plan(name).settings(run, 2, tmp_path, None if name == "emoji" else "somewhere")
        assert settings.seed == 2
        assert settings.evaluation.split == "test"
        assert Path(settings.run) == tmp_path / name / f"{run}-2"


@pytest.mark.parametrize("name", list(PLANS))
def test_every_row_belongs_to_a_run(name: str) -> None:
    assert {fit for fit, _ in PLANS[name]["rows"].values()} <= set(PLANS[name]["fits"])


def test_rows_have_means_and_deviations_over_the_finished_seeds(tmp_path: Path) -> None:
    fits = {"lptpp": {"seeds": 3}, "other": {"seeds": 1}}
    made = accuracy.AccuracyPlan("pets", "", [], fits, {"Ours": ["lptpp", "mixture"], "No": ["other", "x"]})
    for seed, overall in enumerate((10.0, 14.0)):
        write_run(tmp_path / "pets" / f"lptpp-{seed}", overall)
    (row,) = accuracy.table_rows(made, tmp_path)
    assert (row["row"], row["seeds"]) == ("Ours", 2)
    assert row["overall"] == Spread(12.0, pytest.approx(8**0.5))
    assert row["images_per_second"] is None


def test_images_per_second_are_measured_for_every_row(settings_of, tmp_path: Path) -> None:
    fit(settings_of(tmp_path, "phase1.epochs=1", "phase2.epochs=1", "phase3.epochs=1"))
    rows = ["visual.class_means", "visual.phase1", "language.phase2", "average", "mixture"]
    found = images_per_second({("lptpp", row): tmp_path for row in rows}, rounds=1)
    assert list(found["lptpp"]) == rows
    assert all(speed > 0 for speed in found["lptpp"].values())
