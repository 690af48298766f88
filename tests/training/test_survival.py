"""Run folders in use, on a read-only disk, with leftovers or damage; runs that are stopped or killed anywhere."""

import fcntl
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lptpp import api
from lptpp.checkpoint.lock import LOCK
from lptpp.checkpoint.store import latest_checkpoint, steps
from lptpp.training import fit as training
from lptpp.training import inputs
from lptpp.training.fit import fit
from lptpp.training.inputs import TrainingInputs
from lptpp.training.recorder import RunRecorder
from lptpp.utils import io
from lptpp.utils.errors import Interrupted, UserError
from tests.training.test_resume import BARE, assert_same_run


def snapshot(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {
        str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture
def finished(trained, tmp_path) -> Path:
    return Path(shutil.copytree(trained.folder, tmp_path / "again"))


def flip(path: Path, at: int = -1) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


def test_a_finished_run_shows_itself_and_nothing_is_written(finished, settings_of, monkeypatch):
    before = snapshot(finished)

    def read_only(*arguments, **options):
        raise OSError(30, "Read-only file system")

    for name in ("mkdir", "write_text", "write_bytes", "replace", "rename"):
        monkeypatch.setattr(Path, name, read_only)
    monkeypatch.setattr(io, "atomic_write", read_only)
    monkeypatch.setattr(training, "alone", read_only)
    assert api.fit(settings_of(finished, "track_every=7"))["rows"]  # other settings than those of its config.yaml
    assert snapshot(finished) == before


def test_settings_that_are_the_same_are_not_written_again(finished, settings_of):
    (finished / "metrics.json").unlink()
    fit(settings_of(finished, BARE))  # in another folder than before
    before = snapshot(finished)["config.yaml"]
    (finished / "metrics.json").unlink()
    fit(settings_of(finished, BARE))
    assert snapshot(finished)["config.yaml"] == before


def test_settings_cut_short_leave_the_old_ones(finished, settings_of, monkeypatch):
    (finished / "metrics.json").unlink()
    before = (finished / "config.yaml").read_bytes()

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        fit(settings_of(finished, BARE))
    assert (finished / "config.yaml").read_bytes() == before
    assert not list(finished.glob(".*.partial"))


def test_a_folder_in_use_is_left_alone(trained, settings_of, tmp_path):
    folder = Path(shutil.copytree(trained.checkpoints[3], tmp_path / "again"))
    (folder / LOCK).write_text("process 7 on elsewhere")
    before = snapshot(folder)
    with (folder / LOCK).open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(UserError, match=r"in use by another `lptpp fit` \(process 7 on elsewhere\)"):
            fit(settings_of(folder))
    assert snapshot(folder) == before


def test_a_run_that_went_on_meanwhile_is_not_trained_from_an_older_place(trained, settings_of, tmp_path, monkeypatch):
    folder = Path(shutil.copytree(trained.checkpoints[3], tmp_path / "again"))
    check = training.check_before_training

    def while_another_trains(*arguments):
        check(*arguments)
        last = folder / "checkpoint" / "step-12"
        shutil.copytree(last, last.with_name("step-13"))

    monkeypatch.setattr(training, "check_before_training", while_another_trains)
    with pytest.raises(UserError, match="in the meantime"):
        fit(settings_of(folder))


def test_leftovers_are_gone_after_the_next_start(trained, settings_of, tmp_path):
    folder = Path(shutil.copytree(trained.checkpoints[9], tmp_path / "again"))
    for place, name in ((folder, ".history.jsonl"), (folder / "checkpoint", ".image_stamps.safetensors")):
        (place / f"{name}.999999999.partial").touch()  # of a process that no longer exists
    (folder / "checkpoint" / ".step-9.partial").mkdir()
    fit(settings_of(folder, BARE))
    assert not list(folder.rglob("*.partial"))


@pytest.mark.parametrize("file", ["tuned.safetensors", "optimizer.safetensors", "manifest.json"])
def test_a_flipped_bit_costs_an_epoch_and_not_the_run(file, finished, trained, settings_of, caplog):
    flip(finished / "checkpoint" / "step-30" / file, 200)
    with pytest.raises(UserError, match=r"not finished .* resume it with"):
        api.evaluate(finished)
    fit(settings_of(finished, BARE))
    assert "older step-27 is used" in caplog.text
    assert_same_run(finished, trained.folder)


def test_with_damaged_checkpoints_alone_nothing_is_trained(finished, settings_of):
    for path in finished.glob("checkpoint/step-*/tuned.safetensors"):
        flip(path)
    before = snapshot(finished)
    with pytest.raises(UserError, match="delete it to train from the start"):
        fit(settings_of(finished))
    assert snapshot(finished) == before


def test_a_hard_kill_loses_a_few_minutes_of_training(trained, settings_of, tmp_path, monkeypatch):
    """Each step takes two minutes of a clock that the test moves; training is cut at the third step of an epoch."""
    folder = Path(shutil.copytree(trained.checkpoints[0], tmp_path / "again"))
    minutes = iter(range(0, 10_000, 2))
    monkeypatch.setattr(RunRecorder.__init__, "__defaults__", (lambda: 60.0 * next(minutes),))
    step = RunRecorder.step

    def cut(self, position, optimizer):
        step(self, position, optimizer)
        if position.batch == 3:
            raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(RunRecorder, "step", cut)
        with pytest.raises(MemoryError):
            fit(settings_of(folder, BARE))
    position = latest_checkpoint(folder / "checkpoint").manifest["position"]
    assert (position["epoch"], position["batch"]) == (1, 3)  # 6 minutes: saved at the first step after 5
    fit(settings_of(folder, BARE))
    assert_same_run(folder, trained.folder)


def killed(number: int, frame: object) -> None:
    raise RuntimeError("killed")


@pytest.fixture
def stop_in(monkeypatch) -> Iterator[Callable]:
    """Return a function that sends SIGTERM to this process as soon as a function begins."""
    before = signal.signal(signal.SIGTERM, killed)

    def send(owner: object, name: str) -> None:
        original = getattr(owner, name)

        def stopped(*arguments, **options):
            os.kill(os.getpid(), signal.SIGTERM)
            return original(*arguments, **options)

        monkeypatch.setattr(owner, name, stopped)

    yield send
    signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize(
    "place, owner, name, chosen",
    [
        (None, training, "start_head", []),
        (1, inputs, "start_keys", ["experts.visual.keys=kmeans"]),
        (None, inputs, "stem_maps", ["augmentation.cached_views=1", "experts.visual.head=random"]),
        (7, TrainingInputs, "scorer_outputs", []),
        (7, TrainingInputs, "scorer_outputs", ["phase3.folds=2"]),
        (9, training, "write_evaluation", []),
        (9, training, "write_evaluation", ["evaluation.baselines=[linear_probe]"]),
    ],
    ids=["class means", "keys", "crops", "expert outputs", "fold", "evaluation", "baselines"],
)
def test_stopped_outside_of_training_steps_it_stops_softly_and_loses_nothing(
    place, owner, name, chosen, stop_in, trained, settings_of, tmp_path, monkeypatch
):
    folder = tmp_path / "again"
    settings = settings_of(folder, BARE, *chosen)
    if place is not None:
        shutil.copytree(trained.checkpoints[place], folder)
        monkeypatch.setattr(training, "check_settings", lambda *arguments: None)  # the copy has other settings
    before = steps(folder / "checkpoint")
    stop_in(owner, name)
    with pytest.raises(Interrupted):
        fit(settings)
    assert steps(folder / "checkpoint") == before
    assert not (folder / "metrics.json").exists()
    if not chosen:
        monkeypatch.undo()
        fit(settings)
        assert_same_run(folder, trained.folder)
