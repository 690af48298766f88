"""Rows and features computed so far, in files that grow by whole chunks and lose at most the last one in a crash."""

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lptpp.prediction.job import FEATURES, ROWS
from lptpp.writing import json_line

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
