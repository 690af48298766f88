"""One `lptpp fit` at a time holds a run folder; a killed one holds nothing."""

import fcntl
import multiprocessing
import os
import platform
import signal
import time
from pathlib import Path

import pytest

from lptpp.checkpoint.lock import LOCK, alone, refuse_if_held
from lptpp.utils.disk import CannotWrite, append
from lptpp.utils.errors import UserError

CONTEXT = multiprocessing.get_context("fork")


def hold(folder: Path, held) -> None:
    """Hold the lock in a process that has a child, as one with loader workers does, until it is killed."""
    with alone(folder):
        worker = os.fork()
        if worker:
            held.send(worker)
        time.sleep(60)


@pytest.fixture
def holder(tmp_path):
    """A process that holds the lock of a folder, and its worker."""
    here, there = CONTEXT.Pipe()
    process = CONTEXT.Process(target=hold, args=(tmp_path, there))
    process.start()
    worker = here.recv()
    yield process
    process.kill()
    process.join()
    os.kill(worker, signal.SIGKILL)


def enter(folder: Path) -> None:
    with alone(folder):
        pass


@pytest.mark.parametrize("use", [enter, refuse_if_held])
def test_the_second_is_refused_and_told_by_whom(use, holder, tmp_path):
    with pytest.raises(UserError) as error:
        use(tmp_path)
    assert f"{tmp_path} is in use" in str(error.value)
    assert f"(process {holder.pid} on {platform.node()})" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_killed_one_holds_nothing_even_if_its_workers_live_on(holder, tmp_path):
    holder.kill()
    holder.join()
    refuse_if_held(tmp_path)
    enter(tmp_path)


def test_it_is_free_again_afterwards(tmp_path):
    for _ in range(2):
        with alone(tmp_path):
            pass
    with pytest.raises(KeyError), alone(tmp_path):
        raise KeyError
    refuse_if_held(tmp_path)
    enter(tmp_path)


def test_a_file_system_without_locks_is_a_warning(tmp_path, monkeypatch, caplog):
    def unsupported(*arguments):
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", unsupported)
    enter(tmp_path)
    assert "cannot be locked (Function not implemented)" in caplog.text


def test_looking_needs_no_lock_file_and_writes_none(tmp_path):
    refuse_if_held(tmp_path)
    refuse_if_held(tmp_path / "nowhere")
    assert list(tmp_path.iterdir()) == []


def test_a_lock_or_a_log_behind_a_link_leaves_the_file_there_alone(tmp_path):
    """A run folder may be from someone else: what is behind its links belongs to the user."""
    own, run = tmp_path / "own", tmp_path / "run"
    own.write_text("mine")
    run.mkdir()
    for name in (LOCK, "log.txt"):
        (run / name).symlink_to(own)
    with pytest.raises(CannotWrite, match="put a file in the place of the link"), alone(run):
        pass
    with pytest.raises(CannotWrite, match="put a file in the place of the link"):
        append(run / "log.txt", b"lines")
    assert own.read_text() == "mine"
