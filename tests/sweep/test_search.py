"""Sweeps of runs of one epoch: judged on the validation part, stopped and gone on, failing and telling why."""

import csv
import json
import shutil
from pathlib import Path

import pytest
from filelock import FileLock

from lptpp.checkpoint.store import latest_checkpoint
from lptpp.config import load_settings, to_dictionary
from lptpp.evaluation import run as report
from lptpp.sweep import search as sweep_run
from lptpp.sweep.plan import Plan, make_plan
from lptpp.sweep.search import sweep
from lptpp.training.recorder import Interrupted
from lptpp.utils.errors import UserError
from tests.training.test_resume import stop_at

QUICK = ("method=linear_probe", "data.validation=0.4", "phase1.epochs=2")
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


def test_a_sweep_leaves_runs_a_table_and_the_best_settings(plan, pictures, monkeypatch):
    looked_at = []
    evaluate = report.evaluate
    monkeypatch.setattr(
        report, "evaluate", lambda mixture, given, *more: looked_at.append(given) or evaluate(mixture, given, *more)
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
    assert len(looked_at) == 3
    assert not any("test" in path.parts for given in looked_at for path in given.split.images)


def test_best_yaml_is_the_trial_for_a_run_that_looks_at_the_test_part(plan, config):
    made = plan(SPACE, "seed=3")
    best = sweep(made, 2)
    found = load_settings(made.folder / "best.yaml")
    expected = load_settings(config, [*QUICK, "seed=3", *best.tried, f"run={made.folder / 'best'}"])
    assert to_dictionary(found) == to_dictionary(expected)
    assert found.evaluation.split == "test"
    assert (found.seed, found.method) == (3, "linear_probe")
    header = (made.folder / "best.yaml").read_text().splitlines()[:3]
    assert header[0].startswith(f"# Trial {best.number} of the sweep: mean_class ")
    assert header[2].startswith(f"# The same: lptpp fit {config} method=linear_probe")


def test_stopped_within_a_trial_it_goes_on_from_its_checkpoint(plan, tmp_path, monkeypatch):
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
    restore = sweep_run.fit

    def noted(settings):
        seen.append((Path(settings.run).name, (Path(settings.run) / "checkpoint").is_dir()))
        return restore(settings)

    monkeypatch.setattr(sweep_run, "fit", noted)
    assert sweep(plan(), 2) == unbroken
    assert seen == [("trial-001", True), ("trial-002", False)]
    assert table(made) == expected
    assert sweep(plan(), 2) == unbroken  # nothing is left
    assert len(seen) == 2
    sweep(plan(), 3)  # more trials go on from those of before
    assert table(made)[:2] == expected
    assert len(table(made)) == 3


def test_a_failing_trial_is_told_and_the_sweep_goes_on(plan, monkeypatch, caplog):
    def fails(settings):
        if settings.run.endswith("2"):
            raise UserError('The loss became nan, on "a, b".')
        return {"rows": {"result": {"mean_class": 50.0}}, "result": "result"}

    monkeypatch.setattr(sweep_run, "fit", fails)
    made = plan()
    assert sweep(made, 3).number == 1
    assert [(row["state"], row["mean_class"], row["reason"]) for row in table(made)] == [
        ("finished", "50.0", ""),
        ("failed", "", 'The loss became nan, on "a, b".'),
        ("finished", "50.0", ""),
    ]
    assert 'Trial 2 failed: The loss became nan, on "a, b".' in caplog.text


def test_where_all_fail_the_end_says_so(plan, monkeypatch):
    def fails(settings):
        raise UserError("no")

    monkeypatch.setattr(sweep_run, "fit", fails)
    with pytest.raises(UserError, match=r"None of the 2 trials gave a number: .*trials\.csv says why"):
        sweep(made := plan(), 2)
    assert [row["reason"] for row in table(made)] == ["no", "no"]
    assert not (made.folder / "best.yaml").exists()


def test_other_objectives_are_looked_at_and_in_their_direction(plan, monkeypatch):
    errors = iter([9.0, 3.0, 5.0])
    rows = lambda: {"visual, phase 1": {"calibration_error": next(errors), "few": None}}  # noqa: E731
    monkeypatch.setattr(sweep_run, "fit", lambda settings: {"rows": rows(), "result": "LPT++"})
    assert sweep(plan(metric="calibration_error", row="visual, phase 1"), 3).number == 2


def test_a_number_that_is_not_known_is_a_failure_with_a_reason(plan, monkeypatch):
    metrics = {"rows": {"LPT++": {"few": None}}, "result": "LPT++"}
    made = plan(metric="few")
    with pytest.raises(UserError, match="few is not known: the validation part holds no picture of such classes"):
        made.objective(metrics)
    with pytest.raises(UserError, match=r"There is no row 'visual, phase 2': known are LPT\+\+"):
        plan(row="visual, phase 2").objective(metrics)


@pytest.mark.parametrize(
    "overrides, space, options, told",
    [
        ((), "phase1.epoch: [1, 2]", {}, "space.yaml: phase1.epoch=1: command line: there is no setting phase1.epoch"),
        ((), "phase1.main.sampler: [square_rot]", {}, "did you mean square_root?"),
        ((), "phase1.batch_size: {low: 0, high: 8}", {}, "phase1.batch_size=0: expected 1 or more"),
        ((), "experts.visual.adapter_width: [4]", {}, "sets what method=linear_probe fixes"),
        (("experts.visual.shared_prompts=2",), SPACE, {}, "sets what method=linear_probe fixes"),
        (("run=elsewhere",), SPACE, {}, "run=elsewhere does not go with a sweep"),
        (("evaluation.split=test",), SPACE, {}, "evaluation.split=test does not go with a sweep"),
        (("data.validation=0",), SPACE, {}, "A sweep needs a validation part"),
        (("phase1.epoch=2",), SPACE, {}, "there is no setting phase1.epoch"),
        ((), SPACE, {"metric": "mean"}, "--metric mean: did you mean"),
        ((), SPACE, {"row": "visual phase 1"}, "--row visual phase 1: did you mean visual, phase 1"),
    ],
)
def test_what_is_wrong_is_told_before_a_trial_begins(overrides, space, options, messages, plan, tmp_path):
    with pytest.raises(UserError) as error:
        plan(space, *overrides, **options)
    assert messages in str(error.value)
    assert not (tmp_path / "sweep").exists()


def test_a_folder_belongs_to_one_sweep(plan, monkeypatch):
    monkeypatch.setattr(
        sweep_run, "fit", lambda settings: {"rows": {"a": {"mean_class": 1.0, "few": 1.0}}, "result": "a"}
    )
    sweep(plan(), 1)
    sweep(plan(SPACE, "device=auto", "workers=1", "data.memory_gb=1"), 2)  # these change no result
    for other, messages in (
        (plan(SPACE, "seed=1"), "settings.seed differs"),
        (plan("phase1.learning_rate: {low: 0.001, high: 0.2, log: true}\n"), "space.phase1.learning_rate differs"),
        (plan(metric="few"), "objective.metric differs"),
    ):
        with pytest.raises(UserError, match=rf"holds another sweep \({messages}\): choose another --output"):
            sweep(other, 3)
    (plan().folder / "sweep.json").write_text("{")
    with pytest.raises(UserError, match=r"sweep\.json is damaged .* delete it to go on"):
        sweep(plan(), 2)
    with pytest.raises(UserError, match="--trials 0: expected 1 or more"):
        sweep(plan(), 0)


def test_two_at_a_time_are_one_too_many(plan):
    made = plan()
    made.folder.mkdir()
    with FileLock(made.folder / "sweep.lock"), pytest.raises(UserError, match="Another lptpp runs the sweep"):
        sweep(made, 1)
