"""Moments of a process: each change of the file system, counted. Between two of them nothing on the disk changes.

What the library of safetensors writes is not seen; trials at random times hit it.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

CHANGES = {"os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.truncate"}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def at_change(number: int, below: Path, act: Callable[[], object]) -> None:
    """Call `act` just before the change `number`, from 1 on, that this process makes below a folder; lasts for ever."""
    count, owner, prefix = 0, os.getpid(), str(below)

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal count
        if _changes(event, arguments) and prefix in str(arguments[0]) and os.getpid() == owner:
            count += 1
            if count == number:
                act()

    sys.addaudithook(hook)


def counting_changes(below: Path, work: Callable[[], object], note: Path) -> None:
    """Run the work and write the number of its changes below a folder to the file `note`."""
    seen = 0

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal seen
        seen += _changes(event, arguments) and str(below) in str(arguments[0])

    sys.addaudithook(hook)
    try:
        work()
    finally:
        note.write_text(str(seen))


def spread(count: int, total: int) -> list[int]:
    """Return `count` numbers from 1 to `total`, evenly spaced."""
    return [1 + round(place * (total - 1) / max(count - 1, 1)) for place in range(count)]


def _changes(event: str, arguments: tuple[Any, ...]) -> bool:
    return event in CHANGES or (event == "open" and isinstance(arguments[2], int) and bool(arguments[2] & WRITING))
