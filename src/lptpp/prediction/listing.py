"""The list of inputs of a job: written once, read part by part."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from lptpp.prediction.inputs import Input, file_state
from lptpp.utils.disk import atomic_write
from lptpp.utils.progress import progress_bar


class InputList(NamedTuple):
    """What was written: the identity of the inputs, as JSON, and the byte at which each part starts."""

    inputs: dict[str, Any]  # their number, and a sha256 over names, paths, sizes and modification times
    starts: list[int]


def write_listing(path: Path, inputs: Iterable[Input], part: int) -> InputList:
    """Write a line of JSON for each input: its name, or name and path if they differ; `part` inputs make a part."""
    digest, count, position = hashlib.sha256(), 0, 0
    starts: list[int] = []
    with atomic_write(path, "wb") as file, progress_bar("Listing images", None) as bar:
        for count, one in enumerate(inputs, start=1):
            if (count - 1) % part == 0:
                starts.append(position)
            digest.update(f"{json.dumps([*one, *_state(one.path)])}\n".encode())
            position += file.write(f"{json.dumps(one.name if one.name == one.path else one)}\n".encode())
            bar.advance()
    return InputList({"count": count, "sha256": digest.hexdigest()}, starts)


def read_listing(path: Path, start: int = 0, skip: int = 0, number: int | None = None) -> Iterator[Input]:
    """Yield `number` inputs (by default all) from byte `start` on, except the first `skip` of them."""
    with path.open("rb") as file:
        file.seek(start)
        for line in islice(file, skip, number):
            found = json.loads(line)
            yield Input(found, found) if isinstance(found, str) else Input(*found)


def _state(path: str) -> tuple[int | None, int | None]:
    """Return the size and the modification time of a file; None for a missing file."""
    found = file_state(path)
    return (None, None) if found is None else (found.st_size, found.st_mtime_ns)
