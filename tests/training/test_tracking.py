"""A run reports each number once, stopped or not, in history.jsonl and to the trackers."""

import csv
import json
import shutil
import sys
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from lptpp.checkpoint.store import latest_checkpoint
from lptpp.training.fit import fit
from lptpp.training.recorder import Interrupted, RunRecorder
from lptpp.utils.errors import UserError
from tests.training.test_resume import BARE, stop_at

TIMES = ("seconds", "cpu_seconds")  # differ from run to run
EVERY = "track_every=2"
SHORT = ["method=lpt", BARE, EVERY]  # 2 epochs of 3 steps, in 2 phases


def lines(folder: Path) -> list[dict]:
    found = [json.loads(line) for line in (folder / "history.jsonl").read_text(encoding="utf-8").splitlines()]
    return [{key: value for key, value in record.items() if key not in TIMES} for record in found]


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Return (step, value) of each curve, from all event files of a run's TensorBoard folder."""
    found: dict[str, list[tuple[int, float]]] = {}
    for path in sorted((folder / "tensorboard").glob("events*"), key=lambda path: path.stat().st_mtime_ns):
        events = EventAccumulator(str(path)).Reload()
        for tag in events.Tags()["scalars"]:
            found.setdefault(tag, []).extend((event.step, event.value) for event in events.Scalars(tag))
    return found


@pytest.fixture(scope="module")
def unbroken(settings_of, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("unbroken") / "run"
    fit(settings_of(folder, *SHORT, "tracker=tensorboard"))
    return folder


def test_each_epoch_and_every_second_step_is_a_line(unbroken):
    found = lines(unbroken)
    places = [(one["stage"][-1], one["epoch"], one.get("batch"), one["step"]) for one in found]
    assert places == [
        ("1", 1, 2, 2), ("1", 1, None, 3), ("1", 2, 2, 5), ("1", 2, None, 6),
        ("2", 1, 2, 8), ("2", 1, None, 9), ("2", 2, 2, 11), ("2", 2, None, 12),
    ]  # fmt: skip
    with (unbroken / "history.csv").open(encoding="utf-8", newline="") as file:
        rows = [{key: row[key] for key in ("stage", "epoch", "step", "loss")} for row in csv.DictReader(file)]
    epochs = [one for one in found if "batch" not in one]
    assert rows == [{key: str(one[key]) for key in ("stage", "epoch", "step", "loss")} for one in epochs]


def test_the_mean_of_the_steps_is_the_epochs_loss(settings_of, tmp_path):
    fit(settings_of(tmp_path, "method=linear_probe", BARE, "track_every=1"))
    found = lines(tmp_path)
    for epoch in (1, 2):
        of_steps = [one["loss"] for one in found if one["epoch"] == epoch and "batch" in one]
        (of_epoch,) = (one["loss"] for one in found if one["epoch"] == epoch and "batch" not in one)
        assert len(of_steps) == 3
        assert sum(of_steps) / 3 == pytest.approx(of_epoch)
        assert len(set(of_steps)) == 3


def test_tensorboard_shows_the_lines(unbroken):
    found, message = scalars(unbroken), lines(unbroken)
    steps = [one for one in message if one["stage"] == "visual/phase1" and "batch" in one]
    assert found["visual/phase1/loss"] == [(one["step"], pytest.approx(one["loss"], rel=1e-6)) for one in steps]
    epochs = [one for one in message if one["stage"] == "visual/phase2" and "batch" not in one]
    assert found["visual/phase2/epoch/loss"] == [(one["step"], pytest.approx(one["loss"], rel=1e-6)) for one in epochs]
    metrics = json.loads((unbroken / "metrics.json").read_text())
    mean_class = metrics["rows"][metrics["result"]]["mean_class"]
    assert found["test/mean_class"] == [(12, pytest.approx(mean_class, rel=1e-6))]
    (settings,) = unbroken.glob("tensorboard/*/hparams.yml")
    assert "phase1.epochs: 2" in settings.read_text()


def killed(self: RunRecorder, *arguments) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("epoch, batch", [(0, 1), (1, 2), (1, 3)])
def test_stopped_and_gone_on_it_reports_nothing_twice(epoch, batch, unbroken, settings_of, tmp_path, monkeypatch):
    settings = settings_of(tmp_path, *SHORT, "tracker=tensorboard")
    with monkeypatch.context() as patch:
        stop_at(patch, epoch, batch)
        with pytest.raises(Interrupted):
            fit(settings)
    fit(settings)
    assert lines(tmp_path) == lines(unbroken)
    assert scalars(tmp_path).keys() == scalars(unbroken).keys()
    for tag, expected in scalars(unbroken).items():
        if not tag.endswith(TIMES):
            assert scalars(tmp_path)[tag] == expected, tag


def test_killed_between_checkpoints_it_reports_nothing_twice(unbroken, settings_of, tmp_path, monkeypatch):
    """The steps after the checkpoint have been reported, and are taken again."""
    settings = settings_of(tmp_path, *SHORT, "tracker=tensorboard")
    with monkeypatch.context() as patch:
        patch.setattr(RunRecorder, "_save", killed)  # after the first epoch has been reported
        with pytest.raises(KeyboardInterrupt):
            fit(settings)
    assert len(lines(tmp_path)) == 2
    fit(settings)
    assert lines(tmp_path) == lines(unbroken)
    found = scalars(tmp_path)
    assert [step for step, _ in found["visual/phase1/loss"]] == [2, 5]
    assert [step for step, _ in found["visual/phase1/epoch/loss"]] == [3, 6]


def test_a_tracker_that_joins_late_gets_all(unbroken, settings_of, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        stop_at(patch, 1, 2)
        with pytest.raises(Interrupted):
            fit(settings_of(tmp_path, *SHORT))
    assert not (tmp_path / "tensorboard").exists()
    fit(settings_of(tmp_path, *SHORT, "tracker=tensorboard"))
    assert scalars(tmp_path)["visual/phase1/loss"] == scalars(unbroken)["visual/phase1/loss"]


def test_the_validation_part_is_measured_after_each_epoch(settings_of, tmp_path):
    on = ["evaluation.each_epoch=true", "data.validation=0.4", "evaluation.split=validation"]
    metrics = fit(settings_of(tmp_path, BARE, *on)).metrics
    found = {one["stage"]: one for one in lines(tmp_path) if "batch" not in one}
    rows = {
        "visual/phase1": "visual.phase1",
        "visual/phase2": "visual.phase2",
        "language/phase1": "language.phase1",
        "language/phase2": "language.phase2",
        "mixture/phase3": "mixture",
    }
    for stage, row in rows.items():  # after its last epoch, what a stage has trained changes no more
        for key in ("overall", "mean_class"):
            assert found[stage][f"validation_{key}"] == pytest.approx(metrics["rows"][row][key]), (stage, key)


def test_measuring_changes_no_weight(trained, settings_of, tmp_path):
    without, measured = tmp_path / "without", tmp_path / "measured"
    quick = ["method=lpt", BARE, "data.validation=0.4"]
    for folder, each_epoch in ((without, "false"), (measured, "true")):
        fit(settings_of(folder, *quick, f"evaluation.each_epoch={each_epoch}"))
    last = [latest_checkpoint(folder / "checkpoint").folder for folder in (without, measured)]
    tuned = [(folder / "tuned.safetensors").read_bytes() for folder in last]
    assert tuned[0] == tuned[1]


def test_without_a_validation_split_it_is_refused_before_training(settings_of, tmp_path):
    with pytest.raises(UserError, match=r"evaluation\.each_epoch=true"):
        fit(settings_of(tmp_path / "run", "evaluation.each_epoch=true"))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["tensorboard", "wandb"])
def test_a_missing_library_is_asked_for_first(name, settings_of, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(UserError, match=rf"tracker={name}: .*lptpp\[{name}\]"):
        fit(settings_of(tmp_path / "run", f"tracker={name}", "data.root=nowhere"))


def test_a_wrong_name_is_refused(settings_of, tmp_path):
    with pytest.raises(UserError, match=r"tracker=tensorbord: .*tensorboard"):
        settings_of(tmp_path, "tracker=tensorbord")
    with pytest.raises(UserError, match="track_every=0"):
        settings_of(tmp_path, "track_every=0")


def test_a_run_moves_with_its_lines(unbroken, settings_of, tmp_path):
    moved = Path(shutil.copytree(unbroken, tmp_path / "moved"))
    fit(settings_of(moved, *SHORT, "tracker=tensorboard"))
    assert lines(moved) == lines(unbroken)
    assert scalars(moved) == scalars(unbroken)  # nothing was left to train
