"""Resuming predictions. An output of another prediction is neither continued nor overwritten without --overwrite.

An unfinished prediction, a job, has a folder OUTPUT.partial with job.json in it; a finished OUTPUT has a note,
OUTPUT.json.
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from lptpp.utils.disk import append, make_folder, writing
from lptpp.utils.errors import UserError
from lptpp.utils.io import json_line, locked, write_json
from lptpp.utils.paths import refuse_special

Identity = Mapping[str, Any]  # model, inputs, options, as JSON: they determine the bytes of an output
JOB, LOCK, NEW_INPUTS, INPUTS = "job.json", "lock", "inputs.new", "inputs.jsonl"
ROWS, FEATURES = "rows.jsonl", "features.f32"


def partial(output: Path) -> Path:
    """Return the folder of unfinished predictions."""
    return output.with_name(f"{output.name}.partial")


def note(output: Path) -> Path:
    """Return the file that describes a finished output."""
    return output.with_name(f"{output.name}.json")


@contextmanager
def alone(output: Path) -> Iterator[Path]:
    """Lock the folder of unfinished predictions; remove it afterwards unless it contains a job.

    Raises:
        UserError: another process has locked it.
    """
    folder = partial(output)
    make_folder(folder)
    with locked(folder / LOCK, f"Another process is writing {output}: wait for it, or use another --output."):
        try:
            yield folder
        finally:
            if not (folder / JOB).exists():
                _clear(folder)


def begin(outputs: list[Path], identity: Identity, overwrite: bool) -> bool:
    """Start a job with the new inputs, or resume the same job; return False if it is already finished.

    `outputs` are the files that the job writes, the predictions first.

    Raises:
        UserError: an output, finished or not, belongs to another job, and `overwrite` is False.
    """
    folder, unfinished = partial(outputs[0]), _read(partial(outputs[0]) / JOB)
    if unfinished == identity:
        (folder / NEW_INPUTS).unlink()
        return True
    there = [output for output in outputs if output.exists()]
    done = _read(note(outputs[0]))
    if not overwrite:
        if there == outputs and done is not None and done.get("job") == identity:
            return False
        if there:
            raise _taken(there[0], (done or {}).get("job"), identity)
        if unfinished is not None:
            raise _taken(folder, unfinished, identity)
    with writing(folder):
        for name in (JOB, ROWS, FEATURES):  # the job first: without it the other files are ignored
            (folder / name).unlink(missing_ok=True)
        (folder / NEW_INPUTS).replace(folder / INPUTS)
    write_json(folder / JOB, identity)
    return True


def finish(output: Path, identity: Identity, summary: Mapping[str, Any]) -> None:
    """Write the note of the finished output, and remove the job."""
    write_json(note(output), {"job": identity, "summary": summary})
    (partial(output) / JOB).unlink()


def summary_of(output: Path) -> dict[str, Any]:
    """Return the summary that `finish` wrote."""
    return (_read(note(output)) or {})["summary"]


def _taken(path: Path, found: Identity | None, identity: Identity) -> UserError:
    return UserError(f"{path} {_difference(found, identity)}: use another --output, or replace it with --overwrite.")


def _difference(found: Identity | None, identity: Identity) -> str:
    if found is None or found == identity:
        return "already exists"
    if found.get("model") != identity["model"]:
        return "contains predictions of another model"
    if found.get("inputs") != identity["inputs"]:
        return "contains predictions of other inputs, or of files that have changed since"
    before, now = found.get("options", {}), identity["options"]
    changed = [f"{key} was {before.get(key)}, now {value}" for key, value in now.items() if before.get(key) != value]
    return f"contains predictions with other options ({'; '.join(changed)})"


def _read(path: Path) -> dict[str, Any] | None:
    refuse_special(path)
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _clear(folder: Path) -> None:
    for name in (NEW_INPUTS, INPUTS, ROWS, FEATURES, LOCK):
        (folder / name).unlink(missing_ok=True)
    with suppress(OSError):  # other files are in it
        folder.rmdir()


FLOAT = np.dtype("<f4")


class Store:
    """The computed part of `total` inputs, in chunks of `chunk`: one row and `width` features (or none) for each."""

    def __init__(self, folder: Path, chunk: int, total: int, width: int = 0) -> None:
        self.chunk, self.total, self.width = chunk, total, width
        self._rows, self._features = folder / ROWS, folder / FEATURES
        with writing(folder):
            self.done = self._recover()

    def append(self, rows: Sequence[dict[str, Any]], features: np.ndarray) -> None:
        """Append a chunk of rows and features (B, width) and sync them; the rows come last and make the chunk valid."""
        if self.width:
            append(self._features, features.astype(FLOAT).tobytes(), sync=True)
        append(self._rows, "".join(map(json_line, rows)).encode(), sync=True)
        self.done += len(rows)

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield every row."""
        with self._rows.open(encoding="utf-8") as file:
            yield from map(json.loads, file)

    def features(self) -> np.ndarray:
        """Return the features (done, width), memory-mapped."""
        shape = (self.done, self.width)
        return np.memmap(self._features, FLOAT, "r", shape=shape) if self.done else np.empty(shape, FLOAT)

    def _recover(self) -> int:
        """Truncate both files after the last chunk that is complete in both; return the number of rows left."""
        self._rows.touch()
        ends = self._ends()  # of the chunks, in bytes
        if self.width:
            self._features.touch()
            whole = self._features.stat().st_size // (FLOAT.itemsize * self.width)
            ends = ends[: 1 + (whole // self.chunk if whole < self.total else len(ends))]
        done = min((len(ends) - 1) * self.chunk, self.total)
        os.truncate(self._rows, ends[-1])
        if self.width:
            os.truncate(self._features, done * self.width * FLOAT.itemsize)
        return done

    def _ends(self) -> list[int]:
        """Return the offset at which each complete chunk of rows ends, preceded by 0."""
        ends, position = [0], 0
        with self._rows.open("rb") as file:
            for number, line in enumerate(file, start=1):
                position += len(line)
                if line.endswith(b"\n") and (number % self.chunk == 0 or number == self.total):
                    ends.append(position)
        return ends
