"""A run on several processes: the same bits for any number that divides `shards`; they end together, and resume."""

import os
import re
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from lptpp import api, cli
from lptpp.checkpoint.store import latest_checkpoint
from lptpp.training import fit as training
from lptpp.training import inputs, recorder
from lptpp.training.fit import fit
from lptpp.training.inputs import TrainingInputs
from lptpp.training.recorder import RunRecorder
from lptpp.utils import processes
from lptpp.utils.errors import UserError
from tests.ranks import exit_codes, one_thread, printed, run_ranks, start_ranks
from tests.training.test_resume import assert_same_run, tuned

pytestmark = pytest.mark.usefixtures("no_sections")
SHORT = (
    "shards=4", "phase1.epochs=1", "phase2.epochs=1", "phase3.epochs=1", "evaluation.batch_size=3",
    "evaluation.baselines=[class_means]", "evaluation.controls=[none]",
)  # fmt: skip
OTHERWISE = (
    "shards=2", "data.validation=0.3", "evaluation.keep=best", "evaluation.temperature=fitted",
    "evaluation.batch_size=3", "evaluation.baselines=[]", "augmentation.cached_views=2", "experts.visual.keys=kmeans",
    "phase3.folds=2", "phase1.epochs=1", "phase2.epochs=1", "phase3.epochs=1", "data.on_error=skip",
)  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def as_torchrun_does() -> Iterator[None]:
    with one_thread():
        yield


@pytest.fixture(scope="module")
def alone(settings_of, tmp_path_factory) -> tuple[Path, list[Path]]:
    """Return the folder of a run in one process, and a copy of it after each stage."""
    folder, copies = tmp_path_factory.mktemp("alone") / "run", []
    write_checkpoint = recorder.write_checkpoint

    def write_and_copy(root: Path, *arguments):
        written = write_checkpoint(root, *arguments)
        copies.append(Path(shutil.copytree(root.parent, folder.with_name(f"copy-{len(copies)}"))))
        return written

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recorder, "write_checkpoint", write_and_copy)
        fit(settings_of(folder, *SHORT))
    return folder, copies


@pytest.fixture
def command(config, tmp_path) -> Callable[..., Callable[[], object]]:
    """Return a function of the arguments of `lptpp` after the settings file, which returns what a process runs."""

    def of(*arguments: str) -> Callable[[], object]:
        def run() -> None:
            sys.argv = ["lptpp", "fit", str(config), f"run={tmp_path / 'run'}", *arguments]
            cli.main()

        return run

    return of


def assert_same_files(run: Path, expected: Path) -> None:
    assert_same_run(run, expected)
    for name in ("predictions.csv", "per_class.csv", "confusion.csv", "groups.csv"):
        assert (run / name).read_bytes() == (expected / name).read_bytes()


@pytest.mark.parametrize("count", [2, 4])
def test_several_processes_give_the_same_run(count, alone, settings_of, tmp_path):
    settings = settings_of(tmp_path / "run", *SHORT)
    assert run_ranks(lambda: api.fit(settings), count, tmp_path) == [0] * count, printed(tmp_path)
    assert_same_files(tmp_path / "run", alone[0])


def test_so_does_every_pass_that_the_processes_share(settings_of, tmp_path):
    one, two = (settings_of(tmp_path / name, *OTHERWISE) for name in ("one", "two"))
    fit(one)
    assert run_ranks(lambda: fit(two), 2, tmp_path) == [0, 0], printed(tmp_path)
    assert_same_run(tmp_path / "two", tmp_path / "one")
    assert (tmp_path / "two/predictions.csv").read_bytes() == (tmp_path / "one/predictions.csv").read_bytes()
    assert (tmp_path / "two/temperature.json").is_file()


def test_full_fine_tuning_is_close(settings_of, tmp_path):
    changes = ("shards=2", "method=full", "phase1.epochs=1", "evaluation.baselines=[]")
    one, two = (settings_of(tmp_path / name, *changes) for name in ("one", "two"))
    fit(one)
    assert run_ranks(lambda: fit(two), 2, tmp_path) == [0, 0], printed(tmp_path)
    found, expected = tuned(tmp_path / "two"), tuned(tmp_path / "one")
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name], tensor, atol=1e-4, rtol=1e-4)


def test_a_stop_asked_of_one_process_stops_all_at_that_step_and_resumes_with_another_number(
    alone, settings_of, command, tmp_path, monkeypatch
):
    step = RunRecorder.step

    def asked(self, position, optimizer):
        self.stop_asked = processes.rank() == 1 and (str(position.stage), position.batch) == ("visual/phase2", 1)
        step(self, position, optimizer)

    with monkeypatch.context() as patch:
        patch.setattr(RunRecorder, "step", asked)
        assert run_ranks(command(*SHORT), 2, tmp_path) == [130, 130], printed(tmp_path)
    assert printed(tmp_path).count("Stopped and saved") == 1
    position = latest_checkpoint(tmp_path / "run" / "checkpoint").manifest["position"]
    assert (position["stage"], position["batch"]) == ("visual/phase2", 1)
    assert run_ranks(command(*SHORT), 1, tmp_path / "again") == [0], printed(tmp_path / "again")
    assert_same_files(tmp_path / "run", alone[0])


def killed_in(stage: str, patch: pytest.MonkeyPatch) -> None:
    """Let the second process kill itself in the middle of a stage."""
    step, part = RunRecorder.step, TrainingInputs._scorer_part

    def die() -> None:
        if processes.rank() == 1:
            os.kill(os.getpid(), signal.SIGKILL)

    def killed_after_a_step(self, position, optimizer):
        if str(position.stage) == stage:
            die()
        step(self, position, optimizer)

    def killed_in_a_pass(*arguments):
        if stage == "mixture/phase3":
            die()
        return part(*arguments)

    patch.setattr(RunRecorder, "step", killed_after_a_step)
    patch.setattr(TrainingInputs, "_scorer_part", killed_in_a_pass)


@pytest.mark.parametrize(("stage", "before"), [("visual/phase1", None), ("visual/phase2", 0), ("mixture/phase3", 3)])
def test_a_killed_process_ends_the_others_and_the_run_resumes(
    stage: str, before: int | None, alone, settings_of, command, tmp_path, monkeypatch
):
    if before is not None:
        shutil.copytree(alone[1][before], tmp_path / "run")
    with monkeypatch.context() as patch:
        patch.setattr(processes, "HEARD", 0.5)  # the one that is killed says nothing
        killed_in(stage, patch)
        ranks = start_ranks(command(*SHORT), 2, tmp_path)
        assert exit_codes(ranks[1:]) == [-signal.SIGKILL]
        began = time.monotonic()
        assert exit_codes(ranks[:1], 30) == [1], printed(tmp_path)
    assert time.monotonic() - began < 30
    assert printed(tmp_path).count("Another process of this run has ended") == 1
    fit(settings_of(tmp_path / "run", *SHORT))
    assert_same_run(tmp_path / "run", alone[0])


def test_an_error_of_one_process_is_the_only_message(command, tmp_path, monkeypatch):
    batches = inputs.batches

    def unreadable_there(*arguments):
        if processes.rank() == 1:
            raise UserError("photo.png cannot be read (it is gone): fix or remove it.")
        return batches(*arguments)

    monkeypatch.setattr("lptpp.training.dual_sampling.batches", unreadable_there)
    assert run_ranks(command(*SHORT), 2, tmp_path) == [1, 2]
    assert printed(tmp_path).count("Error: photo.png") == 1
    assert "Another process" not in printed(tmp_path)


@pytest.mark.parametrize(
    ("count", "shards", "message"),
    [
        (2, 1, "Error: 2 processes cannot share shards=1: set shards=2.\n"),
        (3, 4, "Error: 3 processes cannot share shards=4: set a number of processes that divides 4.\n"),
    ],
)
def test_a_number_that_does_not_divide_the_shards_is_refused(count, shards, message, command, tmp_path):
    assert run_ranks(command(f"shards={shards}"), count, tmp_path) == [2] * count
    assert re.findall("^Error.*\n", printed(tmp_path), re.MULTILINE) == [message]  # PyTorch has its own lines
    assert not (tmp_path / "run").exists()


def test_processes_that_see_other_images_are_refused(command, tmp_path, monkeypatch):
    load = training.load_dataset

    def without_one(settings):
        found = load(settings)
        kept = np.arange(processes.rank(), len(found.train))
        return replace(found, train=found.train.subset(kept))

    monkeypatch.setattr(training, "load_dataset", without_one)
    assert run_ranks(command(*SHORT), 2, tmp_path) == [2, 2], printed(tmp_path)
    assert printed(tmp_path).count("sees other images than process 0 on") == 1
    assert not (tmp_path / "run").exists()


def test_one_process_for_every_other_command(monkeypatch, capsys):
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr(sys, "argv", ["lptpp", "report", "somewhere"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith("Error: `lptpp report` runs in one process: start it without torchrun")
