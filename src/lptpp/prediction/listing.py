"""The inputs of a prediction written down, so that they are the same ones when it goes on after a stop."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from lptpp.prediction.inputs import Input, file_state
from lptpp.progress import progress_bar


def write_listing(path: Path, inputs: Iterable[Input]) -> dict[str, Any]:
    """Write one JSON line for each input; return their number and a sha256 over names, sizes and times of change."""
    digest, count = hashlib.sha256(), 0
    with path.open("w", encoding="utf-8") as file, progress_bar("Listing the pictures", None) as bar:
        for one in inputs:
            line = json.dumps([*one, *_state(one.path)]) + "\n"
            digest.update(line.encode())
            file.write(line)
            count += 1
            bar.advance()
    return {"count": count, "sha256": digest.hexdigest()}


def read_listing(path: Path, start: int) -> Iterator[Input]:
    """Yield the inputs from number `start` on."""
    with path.open(encoding="utf-8") as file:
        for line in islice(file, start, None):
            name, where, *_ = json.loads(line)
            yield Input(name, where)


def _state(path: str) -> tuple[int | None, int | None]:
    """Return the size and the time of change of a file, which differ when its content does; None for no file."""
    found = file_state(path)
    return (None, None) if found is None else (found.st_size, found.st_mtime_ns)
