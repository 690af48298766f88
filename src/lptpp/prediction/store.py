"""The rows and features of a part of the inputs, on disk, appended chunk by chunk."""

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lptpp.utils.disk import append, copy, writing
from lptpp.utils.io import json_line

ROWS, FEATURES = "rows.jsonl", "features.f32"
FLOAT = np.dtype("<f4")


def rows_in(folder: Path) -> int:
    """Return how many rows the store in a folder has, complete or not; 0 without one."""
    try:
        with (folder / ROWS).open("rb") as file:
            return sum(1 for _ in file)
    except OSError:
        return 0


def carry_over(source: Path, folder: Path) -> None:
    """Copy the store in another folder, the rows last: they make the features valid."""
    for name in (FEATURES, ROWS):
        if (source / name).is_file():
            copy(source / name, folder / name)


class Store:
    """The computed part of `total` inputs, in chunks of `chunk`: one row and `width` features (or none) for each."""

    def __init__(self, folder: Path, chunk: int, total: int, width: int = 0) -> None:
        self.folder, self.chunk, self.total, self.width = folder, chunk, total, width
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

    def is_complete(self) -> bool:
        """Return whether the files contain all rows, and features; another process may have changed them."""
        return Store(self.folder, self.chunk, self.total, self.width).done == self.total

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


class Joined:
    """The features (n, width) of several stores, one after the other; a slice is read from the disk."""

    def __init__(self, stores: Sequence[Store], width: int) -> None:
        self.stores, self.width = stores, width
        self._ends = np.cumsum([store.done for store in stores], dtype=np.int64).tolist()

    def __len__(self) -> int:
        return self._ends[-1] if self.stores else 0

    def __getitem__(self, rows: slice) -> np.ndarray:
        """Return the rows (m, width) of a slice."""
        start, stop, _ = rows.indices(len(self))
        found = [np.empty((0, self.width), FLOAT)]
        for end, store in zip(self._ends, self.stores, strict=True):
            first = end - store.done
            if first < stop and start < end:
                found.append(store.features()[max(start - first, 0) : stop - first])
        return np.concatenate(found)
