"""Sweeps of short runs: evaluated on the validation split, interrupted and resumed, with failing trials."""

import csv
import json
import logging
import re
import shutil
from pathlib import Path

import pytest
from filelock import FileLock

from lptpp.checkpoint.store import latest_checkpoint
from lptpp.config import load_settings, to_dictionary
from lptpp.evaluation import run as report
from lptpp.sweep import search
from lptpp.sweep.plan import Plan, make_plan
from lptpp.sweep.search import sweep
from lptpp.training.recorder import Interrupted
from lptpp.utils.errors import UserError
from tests import golden
from tests.training.test_resume import stop_at

pytestmark = pytest.mark.usefixtures("no_sections")
QUICK = ("method=linear_probe", "data.validation=0.4", "phase1.epochs=2", "evaluation.baselines=[]")
SPACE = "phase1.learning_rate: {low: 0.001, high: 0.1, log: true}\nphase1.batch_size: [4, 8]\n"


@pytest.fixture
def plan(config, tmp_path):
    def make(space: str = SPACE, *overrides: str, metric: str = "mean_class", row: str | None = None) -> Plan:
        (tmp_path / "space.yaml").write_text(space)
        given = (*QUICK, *overrides)
        return make_plan(str(config), given, tmp_path / "space.yaml", metric, row, tmp_path / "sweep")

    return make


def table(plan: Plan) -> list[dict[str, str]]:
    with (plan.folder / "trials.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def sentences(caplog, plan: Plan) -> str:
    """Return what a sweep logs, without durations and folders."""
    lines = [re.sub(r"about .*", "about N min left", record.getMessage()) for record in caplog.records]
    header = (plan.folder / "best.yaml").read_text().splitlines()[:2]
    return "\n".join([*lines, *header, ""]).replace(str(plan.folder), "FOLDER")


def test_a_sweep_writes_runs_a_table_and_the_best_settings(plan, pictures, monkeypatch):
    evaluated = []
    evaluate = report.evaluate
    monkeypatch.setattr(
        report, "evaluate", lambda mixture, given, *more: evaluated.append(given) or evaluate(mixture, given, *more)
    )
    made = plan()
    best = sweep(made, 3)
    rows = table(made)
    assert [row["trial"] for row in rows] == ["1", "2", "3"]
    for row in rows:
        metrics = json.loads((made.folder / f"trial-00{row['trial']}" / "metrics.json").read_text())
        assert float(row["mean_class"]) == metrics["rows"][metrics["result"]]["mean_class"]
        assert (metrics["split"], row["state"], row["reason"]) == ("validation", "finished", "")
    assert best.value == max(float(row["mean_class"]) for row in rows)
    assert len(evaluated) == 3
    assert not any("test" in path.parts for given in evaluated for path in given.split.images)


def test_best_yaml_is_the_best_trial_evaluated_on_the_test_split(plan, config):
    made = plan(SPACE, "seed=3")
    best = sweep(made, 2)
    found = load_settings(made.folder / "best.yaml")
    expected = load_settings(config, [*QUICK, "seed=3", *best.overrides, f"run={made.folder / 'best'}"])
    assert to_dictionary(found) == to_dictionary(expected)
    assert found.evaluation.split == "test"
    assert (found.seed, found.method) == (3, "linear_probe")
    header = (made.folder / "best.yaml").read_text().splitlines()[:3]
    assert header[0].startswith(f"# Trial {best.number} of the sweep: mean_class ")
    assert header[2].startswith(f"# Equivalent: lptpp fit {config} method=linear_probe")


def test_an_interrupted_trial_resumes_from_its_checkpoint(plan, tmp_path, monkeypatch):
    unbroken = sweep(made := plan(), 2)
    expected = table(made)
    shutil.rmtree(made.folder)
    with monkeypatch.context() as patch:
        stop_at(patch, epoch=1, batch=1)
        with pytest.raises(Interrupted):
            sweep(plan(), 2)
    standing = latest_checkpoint(made.folder / "trial-001" / "checkpoint").manifest
    assert (standing["finished"], standing["position"]["epoch"]) == (False, 1)
    seen = []
    restore = search.fit

    def noted(settings):
        seen.append((Path(settings.run).name, (Path(settings.run) / "checkpoint").is_dir()))
        return restore(settings)

    monkeypatch.setattr(search, "fit", noted)
    assert sweep(plan(), 2) == unbroken
    assert seen == [("trial-001", True), ("trial-002", False)]
    assert table(made) == expected
    assert sweep(plan(), 2) == unbroken  # nothing left to do
    assert len(seen) == 2
    sweep(plan(), 3)  # more trials extend the sweep
    assert table(made)[:2] == expected
    assert len(table(made)) == 3


def test_a_failed_trial_is_recorded_and_the_sweep_continues(plan, monkeypatch, caplog):
    def fails(settings):
        if settings.run.endswith("2"):
            raise UserError('The loss became nan, on "a, b".')
        return {"rows": {"result": {"mean_class": 50.0}}, "result": "result"}

    monkeypatch.setattr(search, "fit", fails)
    made = plan()
    with caplog.at_level(logging.INFO, logger="lptpp"):
        assert sweep(made, 3).number == 1
    assert [(row["state"], row["mean_class"], row["reason"]) for row in table(made)] == [
        ("finished", "50.0", ""),
        ("failed", "", 'The loss became nan, on "a, b".'),
        ("finished", "50.0", ""),
    ]
    assert 'The loss became nan, on "a, b".' in caplog.text
    golden.check("sweep_output", sentences(caplog, made))


def test_a_sweep_without_a_finished_trial_is_an_error(plan, monkeypatch):
    def fails(settings):
        raise UserError("no")

    monkeypatch.setattr(search, "fit", fails)
    with pytest.raises(UserError, match=r"trials\.csv"):
        sweep(made := plan(), 2)
    assert [row["reason"] for row in table(made)] == ["no", "no"]
    assert not (made.folder / "best.yaml").exists()


def test_other_objectives_have_their_direction(plan, monkeypatch):
    errors = iter([9.0, 3.0, 5.0])
    rows = lambda: {"visual.phase1": {"calibration_error": next(errors), "few": None}}  # noqa: E731
    monkeypatch.setattr(search, "fit", lambda settings: {"rows": rows(), "result": "mixture"})
    assert sweep(plan(metric="calibration_error", row="visual.phase1"), 3).number == 2


def test_an_unknown_value_is_a_failure_with_a_reason(plan, monkeypatch):
    metrics = {"rows": {"mixture": {"few": None}}, "result": "mixture"}
    made = plan(metric="few")
    with pytest.raises(UserError, match="--metric few: "):
        made.objective(metrics)
    with pytest.raises(UserError, match=r"--row visual\.phase2: .*mixture"):
        plan(row="visual.phase2").objective(metrics)


@pytest.mark.parametrize(
    "overrides, space, options, message",
    [
        ((), "phase1.epoch: [1, 2]", {}, "space.yaml: phase1.epoch=1: "),
        ((), "phase1.main.sampler: [square_rot]", {}, "square_root"),
        ((), "phase1.batch_size: {low: 0, high: 8}", {}, "phase1.batch_size=0: "),
        ((), "experts.visual.adapter_width: [4]", {}, "fixed by method=linear_probe"),
        (("experts.visual.shared_prompts=2",), SPACE, {}, "fixed by method=linear_probe"),
        (("run=elsewhere",), SPACE, {}, "run=elsewhere: "),
        (("evaluation.split=test",), SPACE, {}, "evaluation.split=test: "),
        (("data.validation=0",), SPACE, {}, "data.validation=0.2"),
        (("phase1.epoch=2",), SPACE, {}, "phase1.epoch"),
        ((), SPACE, {"metric": "mean"}, "--metric mean: "),
        ((), SPACE, {"row": "visual phase 1"}, "--row visual phase 1: did you mean visual.phase1"),
    ],
)
def test_mistakes_are_refused_before_the_first_trial(overrides, space, options, message, plan, tmp_path):
    with pytest.raises(UserError) as error:
        plan(space, *overrides, **options)
    assert message in str(error.value)
    assert not (tmp_path / "sweep").exists()


def test_a_folder_belongs_to_one_sweep(plan, monkeypatch):
    monkeypatch.setattr(search, "fit", lambda settings: {"rows": {"a": {"mean_class": 1.0, "few": 1.0}}, "result": "a"})
    sweep(plan(), 1)
    sweep(plan(SPACE, "device=auto", "workers=1", "data.memory_gb=1"), 2)  # without effect on the result
    for other, message in (
        (plan(SPACE, "seed=1"), "settings.seed differs"),
        (plan("phase1.learning_rate: {low: 0.001, high: 0.2, log: true}\n"), "space.phase1.learning_rate differs"),
        (plan(metric="few"), "objective.metric differs"),
    ):
        with pytest.raises(UserError, match=rf"another sweep \({message}\)"):
            sweep(other, 3)
    (plan().folder / "sweep.json").write_text("{")
    with pytest.raises(UserError, match=r"sweep\.json is damaged"):
        sweep(plan(), 2)
    with pytest.raises(UserError, match="--trials 0"):
        sweep(plan(), 0)


def test_a_folder_is_used_by_one_process_at_a_time(plan):
    made = plan()
    made.folder.mkdir()
    with FileLock(made.folder / "sweep.lock"), pytest.raises(UserError, match="another process runs the sweep"):
        sweep(made, 1)
