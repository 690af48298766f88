"""The names of many images without a Python string for each, and hashes of names."""

from collections.abc import Iterator, Sequence
from typing import Any, overload

import numpy as np

CHUNK = 1_024  # names that are looked at together
ODD = np.uint64(0x9E3779B97F4A7C15)  # factors and shifts that mix bits, as in splitmix64
MIXER = np.uint64(0xBF58476D1CE4E5B9)


class Names(Sequence[str]):
    """Names in ASCII as an array of strings, (n,) S."""

    def __init__(self, table: np.ndarray) -> None:
        self.table = table

    def __len__(self) -> int:
        return len(self.table)

    @overload
    def __getitem__(self, place: int) -> str: ...
    @overload
    def __getitem__(self, place: slice) -> "Names": ...
    def __getitem__(self, place: Any) -> Any:
        """Return a name, or the names in a slice."""
        return Names(self.table[place]) if isinstance(place, slice) else self.table[place].decode("ascii")

    def __iter__(self) -> Iterator[str]:
        for start in range(0, len(self), CHUNK):
            yield from (name.decode("ascii") for name in self.table[start : start + CHUNK].tolist())

    def packed(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the letters of all names, one name after the other, uint8, and their lengths, (n,) uint32."""
        letters = _letters(self.table)
        lengths = np.char.str_len(self.table).astype(np.uint32)
        return letters[letters != 0], lengths


def hashes(names: Sequence[str]) -> np.ndarray:
    """Return 64 bits for each name, (n,) uint64: equal for equal names, whether or not they are `Names`."""
    if isinstance(names, Names):
        return _hashes(names.table, np.char.str_len(names.table))
    found = [np.zeros(0, np.uint64)]
    for start in range(0, len(names), CHUNK):
        some = [name.encode("utf-8", "surrogateescape") for name in names[start : start + CHUNK]]
        found.append(_hashes(np.array(some, np.bytes_), np.array(list(map(len, some)))))
    return np.concatenate(found)


def _hashes(table: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Return a sum over every eight bytes; zeros at the end add nothing, so that the width does not matter."""
    width = -(-table.itemsize // 8) * 8
    words = np.ascontiguousarray(table.astype(f"S{width}")).view("<u8").reshape(len(table), -1)
    sums = lengths.astype(np.uint64) * MIXER
    for place in range(words.shape[1]):
        sums += _mixed(words[:, place] * (ODD + np.uint64(2 * place)))
    return _mixed(sums)


def _mixed(bits: np.ndarray) -> np.ndarray:
    bits = (bits ^ (bits >> np.uint64(30))) * MIXER
    return bits ^ (bits >> np.uint64(27))


def _letters(table: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(table).view(np.uint8)
