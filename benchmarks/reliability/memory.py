"""What was tried today, so that an interrupted run of the suite goes on with the next promise."""

import json
import time
from dataclasses import asdict
from pathlib import Path

from benchmarks.machine import ROOT, commit
from benchmarks.reliability.promise import Tally
from lptpp.utils import io
from lptpp.utils.disk import make_folder

FILE = ROOT / "build" / "reliability.json"
DAY = 86_400


def remembered(count_of: dict[str, int], path: Path = FILE, now: float | None = None) -> dict[str, Tally]:
    """Return the promises that held in as many trials less than a day ago, of the same commit without changes."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    here, today = commit(), (now or time.time()) - DAY
    if here.endswith("dirty"):
        return {}
    valid = {name: one for name, one in found.items() if one["commit"] == here and one["time"] > today}
    return {
        name: Tally(one["text"], one["tried"], seconds=one["seconds"])
        for name, one in valid.items()
        if one["count"] == count_of.get(name)
    }


def remember(name: str, count: int, tally: Tally, path: Path = FILE) -> None:
    """Note a promise that held in all of `count` trials."""
    if not tally.kept:
        return
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        found = {}
    make_folder(path.parent)
    found[name] = {**asdict(tally), "count": count, "commit": commit(), "time": time.time()}
    io.write_json(path, found)
