"""A share of the reliability suite, and its page."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.reliability.promise import Tally, Verdict
from benchmarks.reliability.promises import PROMISES
from benchmarks.reliability.table import problem_lines, write_page
from tests.docs.pages import ROOT

PAGE = ROOT / "docs" / "reliability.md"


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory) -> dict:
    """What came of a few trials of each promise, in a process of its own, which forks others."""
    file = tmp_path_factory.mktemp("reliability") / "table.json"
    command = [sys.executable, "-m", "benchmarks.reliability", "--share", "--json", file]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True)
    assert done.returncode in (0, 1), done.stderr
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
