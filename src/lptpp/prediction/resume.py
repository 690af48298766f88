"""Whose predictions an output holds, finished or not: nothing of another job is continued or written over unasked.

A job under way has the folder OUTPUT.partial, which counts once it holds job.json; a finished OUTPUT has the note
OUTPUT.json.
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from lptpp.utils.errors import UserError
from lptpp.utils.io import json_line, write_json

Identity = Mapping[str, Any]  # model, inputs, options: all that decides the bytes of an output; JSON
JOB, LOCK, NEW_INPUTS, INPUTS = "job.json", "lock", "inputs.new", "inputs.jsonl"
ROWS, FEATURES = "rows.jsonl", "features.f32"


def partial(output: Path) -> Path:
    """Return the folder of unfinished predictions."""
    return output.with_name(f"{output.name}.partial")


def note(output: Path) -> Path:
    """Return the file that says what a finished output holds."""
    return output.with_name(f"{output.name}.json")


@contextmanager
def alone(output: Path) -> Iterator[Path]:
    """Hold the folder of unfinished predictions, and remove it afterwards unless a job stands in it.

    Raises `UserError` where another process has it.
    """
    folder = partial(output)
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise UserError(f"Another lptpp is predicting into {output}: wait for it, or give another --output.") from None
    try:
        yield folder
    finally:
        lock.release()
        if not (folder / JOB).exists():
            _clear(folder)


def begin(outputs: list[Path], identity: Identity, overwrite: bool) -> bool:
    """Make the new inputs those of a job, or go on with the same job; return False where it is finished already.

    `outputs` are the files that the job writes, the predictions first. Raises `UserError` where one of them, or what
    is unfinished of it, belongs to another job and is not to be overwritten.
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
    for name in (JOB, ROWS, FEATURES):  # the job first: without it the rest counts for nothing
        (folder / name).unlink(missing_ok=True)
    (folder / NEW_INPUTS).replace(folder / INPUTS)
    write_json(folder / JOB, identity)
    return True


def finish(output: Path, identity: Identity, summary: Mapping[str, Any]) -> None:
    """Note what the finished output holds, and end the job."""
    write_json(note(output), {"job": identity, "summary": summary})
    (partial(output) / JOB).unlink()


def summary_of(output: Path) -> dict[str, Any]:
    """Return the summary that `finish` noted."""
    return (_read(note(output)) or {})["summary"]


def _taken(path: Path, found: Identity | None, identity: Identity) -> UserError:
    return UserError(f"{path} {_difference(found, identity)}: give another --output, or replace it with --overwrite.")


def _difference(found: Identity | None, identity: Identity) -> str:
    if found is None or found == identity:
        return "is there already"
    if found.get("model") != identity["model"]:
        return "holds predictions of another model"
    if found.get("inputs") != identity["inputs"]:
        return "holds predictions of other inputs, or of files that have changed since"
    before, now = found.get("options", {}), identity["options"]
    changed = [f"{key} was {before.get(key)}, now {value}" for key, value in now.items() if before.get(key) != value]
    return f"holds predictions with other options ({'; '.join(changed)})"


def _read(path: Path) -> dict[str, Any] | None:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _clear(folder: Path) -> None:
    for name in (NEW_INPUTS, INPUTS, ROWS, FEATURES, LOCK):
        (folder / name).unlink(missing_ok=True)
    with suppress(OSError):  # something of somebody else's is in it
        folder.rmdir()


FLOAT = np.dtype("<f4")


class Store:
    """What is computed of `total` inputs, `chunk` at a time: a row each, and `width` numbers of features or none."""

    def __init__(self, folder: Path, chunk: int, total: int, width: int = 0) -> None:
        self.chunk, self.total, self.width = chunk, total, width
        self._rows, self._features = folder / ROWS, folder / FEATURES
        self.done = self._recover()

    def append(self, rows: Sequence[dict[str, Any]], features: np.ndarray) -> None:
        """Write a chunk of rows and features (B, width) through to the disk; the rows last: they make it count."""
        if self.width:
            _append(self._features, features.astype(FLOAT).tobytes())
        _append(self._rows, "".join(map(json_line, rows)).encode())
        self.done += len(rows)

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield every row."""
        with self._rows.open(encoding="utf-8") as file:
            yield from map(json.loads, file)

    def features(self) -> np.ndarray:
        """Return the features (done, width), read from the disk as they are used."""
        shape = (self.done, self.width)
        return np.memmap(self._features, FLOAT, "r", shape=shape) if self.done else np.empty(shape, FLOAT)

    def _recover(self) -> int:
        """Cut both files off after the last chunk that is whole in both; return how many rows are left."""
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
        """Return where each whole chunk of rows ends, 0 before the first."""
        ends, position = [0], 0
        with self._rows.open("rb") as file:
            for number, line in enumerate(file, start=1):
                position += len(line)
                if line.endswith(b"\n") and (number % self.chunk == 0 or number == self.total):
                    ends.append(position)
        return ends


def _append(path: Path, content: bytes) -> None:
    with path.open("ab") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
