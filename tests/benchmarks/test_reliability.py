"""A share of the reliability suite, and its page."""

import json
import sys
import time
from pathlib import Path

import pytest

from benchmarks.reliability import costs, memory
from benchmarks.reliability.__main__ import main
from benchmarks.reliability.forks import ended
from benchmarks.reliability.promise import Promise, Tally, Verdict
from benchmarks.reliability.promises import PROMISES
from benchmarks.reliability.table import problem_lines, write_page
from tests.docs.pages import ROOT
from tests.ranks import one_thread

PAGE = ROOT / "docs" / "reliability.md"


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory) -> dict:
    """What came of a few trials of each promise, in a process of its own, which forks others."""
    folder = tmp_path_factory.mktemp("reliability")
    file = folder / "table.json"

    def try_a_share() -> None:
        sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__  # not those of pytest, which the forks would inherit
        with one_thread():
            main(["--share", "--json", str(file)])

    done = ended(try_a_share, folder, seconds=600)
    assert done.status in (0, 1), done.output
    return json.loads(file.read_text())["promises"]


@pytest.mark.parametrize("name", PROMISES)
def test_a_promise_holds(name: str, tried: dict) -> None:
    found = tried[name]
    assert found["problems"] == []
    assert found["tried"] >= PROMISES[name].share or "cannot be mounted" in found["note"]


def test_the_page_names_every_promise_and_its_trials() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for name, promise in PROMISES.items():
        assert text.count(f"| `{name}` | ") == 2, name  # what held, and how it is tried
        assert f"| `{name}` | {promise.text} | " in text


def test_the_table_of_a_page_is_replaced(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("Before\n<!-- table of make reliability -->\nstale\n<!-- end -->\nAfter\n")
    tally = Tally("it holds")
    for number in range(3):
        tally.add(Verdict(f"trial {number}", None, trials=4))
    tally.add(Verdict("trial 3", "Traceback\nsome `reason`", trials=2))
    for _ in range(2):
        write_page(page, {"holding": tally, "other": Tally("more", note="not tried: no disk")})
    text = page.read_text()
    assert text.startswith("Before\n<!-- table") and text.endswith("<!-- end -->\nAfter\n") and "stale" not in text
    assert text.count("| `holding` | it holds | 14 | 12 |\n") == 1
    assert "- `holding`, trial 3, did not hold: `some 'reason'`\n" in text
    assert "- `other`: not tried: no disk.\n" in text
    assert list(problem_lines({"holding": tally})) == ["holding, trial 3: Traceback\nsome `reason`"]
    assert not tally.kept


def test_the_time_left_follows_the_estimates_and_the_speed_of_this_run(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(costs.time, "monotonic", lambda: now[0])
    promises = {"a": Promise("a", iter, 10, 1, seconds=3.0), "b": Promise("b", iter, 5, 1, seconds=2.0, once=5.0)}
    clock = costs.Clock(promises, {"a": 10, "b": 5})
    assert clock.left() == 45.0
    now[0] += 30 + costs.START  # half as fast as estimated
    assert clock.left("a", 5) == pytest.approx((45 - 15) * (30 + 2 * costs.START) / (15 + costs.START))
    clock.finished("a")
    assert clock.left("b", 0) == pytest.approx(15 * (30 + 2 * costs.START) / (30 + costs.START))
    clock.finished("b")
    assert clock.left() == 0


def test_what_held_today_at_this_commit_is_not_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "commit", lambda: "abc")
    path, held, broken = tmp_path / "build" / "known.json", Tally("it holds"), Tally("it does not")
    held.add(Verdict("one", None, trials=4))
    broken.add(Verdict("one", "a reason"))
    for name, tally in {"held": held, "broken": broken}.items():
        memory.remember(name, 4, tally, path)
    counts = {"held": 4, "broken": 4}
    assert {name: tally.tried for name, tally in memory.remembered(counts, path).items()} == {"held": 4}
    assert memory.remembered({"held": 5}, path) == {}
    assert memory.remembered(counts, path, now=time.time() + memory.DAY) == {}
    for commit in ("def", "abc-dirty"):
        monkeypatch.setattr(memory, "commit", lambda commit=commit: commit)
        assert memory.remembered(counts, path) == {}


def test_all_promises_take_less_than_twenty_minutes() -> None:
    """As far as the estimates go, on 2 free cores; every promise has one."""
    assert all(promise.seconds + promise.once > 0 for promise in PROMISES.values())
    assert costs.START + sum(costs.estimate(promise, promise.full) for promise in PROMISES.values()) < 18 * 60
