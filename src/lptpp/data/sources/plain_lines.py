"""Lines `path label` of a text, read all at once with NumPy if they are plain."""

from typing import NamedTuple

import numpy as np

SPACE, LINE_END, COMMENT, ZERO = b" \n#0"
LONGEST = 18  # digits of a label in 64 bits
IRREGULAR = (b"//", b"./", b"/ ", b"/. ")  # in or after paths that pathlib would write in another way


class PlainLines(NamedTuple):
    """The paths of n lines, one after the other, the length of each, (n,) int64, and the labels, (n,) int64."""

    text: bytes
    lengths: np.ndarray
    labels: np.ndarray


def plain_lines(block: str) -> PlainLines | None:
    """Return the paths and labels of lines; None if one is not an ASCII path, a space and digits.

    Paths with spaces, comments, empty lines and paths that pathlib would write in another way are not plain.
    """
    if not block.isascii() or not block:
        return None
    content = block.encode("ascii") if block.endswith("\n") else f"{block}\n".encode("ascii")
    letters = np.frombuffer(content, np.uint8)
    breaks = np.flatnonzero(letters <= SPACE)
    spaces, ends = breaks[::2], breaks[1::2]
    if len(spaces) != len(ends) or (letters[spaces] != SPACE).any() or (letters[ends] != LINE_END).any():
        return None
    starts = np.concatenate([[0], ends[:-1] + 1])
    lengths = spaces - starts
    if not lengths.all() or (letters[starts] == COMMENT).any() or any(part in content for part in IRREGULAR):
        return None
    labels = _numbers(letters, spaces + 1, ends)
    if labels is None:
        return None
    pieces = np.stack([lengths, ends + 1 - spaces], 1).ravel()  # of each line: the path, the rest
    is_path = np.repeat(np.arange(len(pieces)) % 2 == 0, pieces)
    return PlainLines(letters[is_path].tobytes(), lengths, labels)


def _numbers(letters: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> np.ndarray | None:
    """Return the numbers between places of a text, (n,) int64; None if one is not of 1 to `LONGEST` digits."""
    sizes = ends - starts
    if not sizes.all() or sizes.max() > LONGEST:
        return None
    numbers = np.zeros(len(starts), np.int64)
    for place in range(sizes.max()):
        rows = np.flatnonzero(sizes > place)
        digits = letters[starts[rows] + place].astype(np.int64) - ZERO
        if ((digits < 0) | (digits > 9)).any():
            return None
        numbers[rows] = numbers[rows] * 10 + digits
    return numbers
