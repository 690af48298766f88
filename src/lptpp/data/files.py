"""The paths of many image files in one array of bytes, which loader workers share instead of copying.

A path takes the bytes of its part below the common folder and 4 to 8 bytes, 8 more in a selection. A list of Path
objects takes 500 bytes each, and every worker that reads it copies the pages that hold its reference counts.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np


class Files(Sequence[Path]):
    """N paths: a common beginning, and text in the encoding of the file system, one path after the other.

    `ends` (M,) is where each path ends in the text; `rows` (N,) selects some of the M paths, all by default.
    """

    def __init__(self, base: str, text: bytes, ends: np.ndarray, rows: np.ndarray | None = None) -> None:
        self.base = base
        self.text = text
        self.ends = ends
        self.rows = rows

    @classmethod
    def of(cls, paths: Iterable[str | Path], base: str = "") -> "Files":
        """Return paths below `base`, with which their text begins: "photos/" for "photos/cat/1.jpg"."""
        names = [os.fsencode(path)[len(os.fsencode(base)) :] for path in paths]
        return cls.encoded(base, b"".join(names), np.fromiter(map(len, names), np.int64, len(names)))

    @classmethod
    def in_folder(cls, folder: str, names: list[str], base: str) -> "Files":
        """Return the files of given names in a folder, whose path ends with a separator and begins with `base`."""
        own = folder[len(base) :]
        text = own.join(["", *names])
        encoded = os.fsencode(text)
        sizes = map(len, names) if len(encoded) == len(text) else (len(os.fsencode(name)) for name in names)
        return cls.encoded(base, encoded, np.fromiter(sizes, np.int64, len(names)) + len(os.fsencode(own)))

    @classmethod
    def encoded(cls, base: str, text: bytes, lengths: np.ndarray) -> "Files":
        """Return the paths of a text, given the length of each."""
        ends = np.cumsum(lengths, dtype=np.int64)
        return cls(base, text, ends.astype(np.uint32) if len(text) < 2**32 else ends)

    def __len__(self) -> int:
        return len(self.ends if self.rows is None else self.rows)

    @overload
    def __getitem__(self, place: int) -> Path: ...
    @overload
    def __getitem__(self, place: slice) -> "Files": ...
    def __getitem__(self, place: Any) -> Any:
        """Return a path, or the paths in a slice."""
        if isinstance(place, slice):
            return self.take(np.arange(*place.indices(len(self))))
        row = range(len(self))[place]
        row = row if self.rows is None else int(self.rows[row])
        start = int(self.ends[row - 1]) if row else 0
        return Path(self.base + os.fsdecode(self.text[start : int(self.ends[row])]))

    def __iter__(self) -> Iterator[Path]:
        return (Path(self.base + os.fsdecode(name)) for name in self.names())

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence) or len(self) != len(other):
            return False
        return all(mine == its for mine, its in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Files({list(self[:3])}, of {len(self)})"

    def take(self, places: np.ndarray) -> "Files":
        """Return the paths at `places` (n,) int, which share the text."""
        rows = places if self.rows is None else self.rows[places]
        return Files(self.base, self.text, self.ends, rows.astype(np.uint32 if len(self.ends) < 2**32 else np.int64))

    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Return where each path starts and ends in the text, (N,) int64 each."""
        if self.rows is None:
            ends = self.ends.astype(np.int64)
            return np.r_[0, ends][:-1], ends
        before = self.rows.astype(np.int64) - 1
        return np.where(before < 0, 0, self.ends[before]).astype(np.int64), self.ends[self.rows].astype(np.int64)

    def names(self) -> Iterator[bytes]:
        """Yield the text of each path, without the base."""
        starts, ends = self.bounds()
        for first in range(0, len(starts), CHUNK):  # lists of all numbers would take 64 bytes per path
            some = slice(first, first + CHUNK)
            for start, end in zip(starts[some].tolist(), ends[some].tolist(), strict=True):
                yield self.text[start:end]

    def table(self) -> np.ndarray | None:
        """Return the texts of the paths as an array of strings, (N,) S; None if it would take much more memory.

        Their order is that of bytes.
        """
        starts, ends = self.bounds()
        lengths = ends - starts
        width = int(lengths.max(initial=1))
        if width * len(self) > WIDEST * lengths.sum() or b"\0" in self.text:  # which ends a string of NumPy
            return None
        letters, found = np.frombuffer(self.text, np.uint8), np.zeros((len(self), width), np.uint8)
        for first in range(0, len(self), CHUNK):
            some = slice(first, first + CHUNK)
            inside = np.arange(width) < lengths[some, None]
            found[some][inside] = letters[(starts[some, None] + np.arange(width))[inside]]
        return found.view(f"S{width}")[:, 0]

    def packed(self) -> "Files":
        """Return the same paths with a text that has no other."""
        if self.rows is None:
            return self
        starts, ends = self.bounds()
        lengths, parts = ends - starts, list[bytes]()
        letters = np.frombuffer(self.text, np.uint8)
        for first in range(0, len(self), CHUNK):
            sizes = lengths[first : first + CHUNK]
            shifts = starts[first : first + CHUNK] - (np.cumsum(sizes) - sizes)
            parts.append(letters[np.arange(sizes.sum()) + np.repeat(shifts, sizes)].tobytes())
        return Files.encoded(self.base, b"".join(parts), lengths)


CHUNK = 65_536
WIDEST = 4  # times the memory of the texts that a table may take


def concatenated(several: Sequence[Files]) -> Files:
    """Return the paths of all, in order; their common beginnings must be equal."""
    whole = [one.packed() for one in several]
    assert len({one.base for one in whole}) == 1
    lengths = np.concatenate([np.diff(one.ends.astype(np.int64), prepend=0) for one in whole])
    return Files.encoded(whole[0].base, b"".join(one.text for one in whole), lengths)


def runs(table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the stable order of strings or numbers (n,), and where in it each run of equal ones starts, int64 each."""
    order = np.argsort(table, kind="stable")
    ordered = table[order]
    is_first = np.ones(len(order), bool)
    is_first[1:] = ordered[1:] != ordered[:-1]
    return order, np.flatnonzero(is_first)
