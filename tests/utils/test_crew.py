"""Claims among processes that work, have left, were killed, were suspended, or run on another machine."""

import json
import multiprocessing
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from lptpp.utils import crew as crews
from lptpp.utils.crew import LAPSE, Crew, remove_claims, superseded


@pytest.fixture
def folder(tmp_path) -> Path:
    return tmp_path / "job" / "working"


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "part"


def elsewhere(crew: Crew, ago: float = 0.0) -> None:
    """Make a process one of another machine that was heard of some seconds ago."""
    file = crew.folder / crew.name
    file.write_text(json.dumps(json.loads(file.read_text()) | {"machine": "another", "host": "node2", "process": 7}))
    os.utime(file, (time.time() - ago,) * 2)


def test_one_of_two_gets_a_claim_until_it_leaves(folder, path):
    with Crew(folder) as second:
        with Crew(folder) as first:
            assert (first.claim(path), second.claim(path)) == (1, 0)
            assert second.holder(path) == second.at_work()[0] == f"process {os.getpid()} on {os.uname().nodename}"
            assert not superseded(path, 1)
        assert second.at_work() == [] and second.holder(path) is None
        assert second.claim(path) == 2
        assert superseded(path, 1)
    assert not folder.parent.exists()


def test_a_process_that_was_killed_here_holds_nothing_and_its_file_is_removed(folder, path):
    def claim_and_die() -> None:
        Crew(folder).__enter__().claim(path)
        os.kill(os.getpid(), signal.SIGKILL)

    process = multiprocessing.get_context("fork").Process(target=claim_and_die)
    process.start()
    while not superseded(path, 0):
        time.sleep(0.01)
    with Crew(folder) as crew:
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # it is a zombie, whose number still exists
        assert crew.claim(path) == 2
        process.join()
        assert crew.at_work() == []
    assert not folder.exists()


def test_a_number_that_another_process_has_now_is_not_the_owner(folder, path, monkeypatch):
    with Crew(folder) as first, Crew(folder) as second:
        first.claim(path)
        monkeypatch.setattr(crews, "_started", lambda process: "later")
        assert second.claim(path) == 2


@pytest.mark.parametrize("ago, number", [(LAPSE - 60, 0), (LAPSE + 60, 2)])
def test_a_process_of_another_machine_is_dead_after_the_lapse(ago, number, folder, path):
    with Crew(folder) as first, Crew(folder) as second:
        first.claim(path)
        elsewhere(first, ago)
        assert second.claim(path) == number
        assert second.at_work() == ([] if number else ["process 7 on node2"])
    assert not folder.exists()


def test_a_process_touches_its_file(folder, monkeypatch):
    monkeypatch.setattr(crews, "INTERVAL", 0.01)
    with Crew(folder) as crew:
        file = folder / crew.name
        os.utime(file, (0, 0))
        ends = time.monotonic() + 30
        while file.stat().st_mtime == 0 and time.monotonic() < ends:
            time.sleep(0.01)
        assert file.stat().st_mtime > 0


def test_the_time_is_that_of_the_disk(folder, path, monkeypatch):
    """A machine whose clock is an hour ahead takes nobody for dead."""
    monkeypatch.setattr(time, "time", lambda now=time.time: now() + 3600)
    with Crew(folder) as first, Crew(folder) as second:
        first.claim(path)
        elsewhere(first, 3600)
        assert second.claim(path) == 0


def test_a_claim_without_a_name_is_about_to_be_written_or_was_never(folder, path):
    claim = path.with_name("part.claim.1")
    claim.touch()
    with Crew(folder) as crew:
        assert crew.claim(path) == 0
        assert crew.holder(path) == "another process"
        os.utime(claim, (0, 0))
        assert crew.claim(path) == 2


def test_who_finds_another_claim_after_its_own_gives_way(folder, path, monkeypatch):
    """The old claims were removed after `first` had seen them: both would have one."""
    with Crew(folder) as first, Crew(folder) as second, Crew(folder) as third:
        assert third.claim(path) == 1
        numbers, seen = crews._numbers, []

        def removed_meanwhile(asked: Path) -> set[int]:
            found = numbers(asked)
            if not seen:
                seen.append(found)
                third.__exit__()
                remove_claims(path)
                assert second.claim(path) == 1
            return found

        monkeypatch.setattr(crews, "_numbers", removed_meanwhile)
        assert first.claim(path) == 0
        assert numbers(path) == {1} and first.holder(path)


def test_of_many_at_once_exactly_one_gets_each_claim(folder, tmp_path):
    got: list[Path] = []

    def claim_all() -> None:
        with Crew(folder) as crew:
            got.extend(path for path in paths if crew.claim(path))
            done.wait(timeout=20)

    paths = [tmp_path / f"{number}" for number in range(20)]
    done = threading.Barrier(4)
    threads = [threading.Thread(target=claim_all) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(got) == sorted(paths)


def test_a_folder_that_vanishes_while_it_is_entered_is_made_again(folder, monkeypatch):
    make = crews.make_folder

    def vanishing(path: Path) -> None:
        make(path)
        monkeypatch.setattr(crews, "make_folder", make)
        path.rmdir()

    monkeypatch.setattr(crews, "make_folder", vanishing)
    with Crew(folder) as crew:
        assert (folder / crew.name).is_file()
