"""Natural order of many names: as sorting by `natural_key`, several times faster for the names that programs give.

Names that do not fit in memory are sorted in blocks, which are kept in a file and merged.
"""

import heapq
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice, pairwise
from pathlib import Path
from typing import BinaryIO

import numpy as np

from lptpp.utils.disk import writing
from lptpp.utils.paths import natural_key

FEW = 16  # names for which it does not pay
BLOCK = 2**18  # names sorted in memory
READ = 2**16  # bytes read from a block at once


def below(name: str) -> str:
    """Return the sort key of a path relative to a folder."""
    return natural_key(f"/{name}")


def sorted_stream(names: Iterable[str], key: Callable[[str], str] = below, folder: Path | None = None) -> Iterator[str]:
    """Yield the paths of different files in natural order, by `below` or `natural_key`; memory holds `BLOCK` of them.

    More are kept in a file without a name in `folder`, by default that of temporary files.
    """
    remaining = iter(names)
    first = naturally_sorted(list(islice(remaining, BLOCK)), key)
    more = next(remaining, None)
    if more is None:
        return iter(first)
    return _merged(first, chain([more], remaining), key, folder)


def _merged(
    first: list[str], remaining: Iterator[str], key: Callable[[str], str], folder: Path | None
) -> Iterator[str]:
    place = folder or Path(tempfile.gettempdir())
    with writing(place), tempfile.TemporaryFile(dir=place) as file:
        ends = [0, _append(file, first)]
        while block := list(islice(remaining, BLOCK)):
            first.clear()
            ends.append(_append(file, naturally_sorted(block, key)))
        runs = [_read(file, start, end) for start, end in pairwise(ends)]
        yield from heapq.merge(*runs, key=key)


def _append(file: BinaryIO, names: list[str]) -> int:
    """Append names, a line each, and return where they end; a line end in a name becomes a byte that no name has."""
    for name in names:
        file.write(os.fsencode(name).replace(b"\n", b"\0") + b"\n")
    return file.tell()


def _read(file: BinaryIO, start: int, end: int) -> Iterator[str]:
    """Yield the names between two places of the file."""
    rest = b""
    while start < end:
        file.seek(start)
        block = file.read(min(READ, end - start))
        start += len(block)
        *lines, rest = (rest + block).split(b"\n")
        for line in lines:
            yield os.fsdecode(line.replace(b"\0", b"\n"))


def naturally_sorted(names: list[str], key: Callable[[str], str] = below) -> list[str]:
    """Return the names of files in one folder in the natural order of their paths."""
    found = None if len(names) < FEW else _numbered(names) or _of_one_shape(names)
    return sorted(names, key=key) if found is None else found


def _numbered(names: list[str]) -> list[str] | None:
    """Return the names in order if they differ only in one number: cat_1.jpg, cat_12.jpg; None for other names."""
    prefix = len(os.path.commonprefix([min(names), max(names)]).rstrip("0123456789"))  # noqa: RUF071 (names, no paths)
    end = names[0][names[0].rfind(".") :] if "." in names[0] else ""
    text = "\n".join(names)
    separator = f"{end}\n{names[0][:prefix]}"
    between = text[prefix : len(text) - len(end)].replace(separator, "\n")
    numbers = between.split("\n")
    digits = "".join(numbers)
    if not text.endswith(end) or text.count(separator) != len(names) - 1 or len(numbers) != len(names):
        return None
    if not all(numbers) or not (digits.isascii() and digits.isdigit()):
        return None
    if not f"\n{between}".count("\n0"):
        return sorted(sorted(names), key=len)  # numbers of more digits are larger
    found = dict(zip(map(int, numbers), names, strict=True))
    return [found[number] for number in sorted(found)] if len(found) == len(names) else None  # 1 and 01


def _of_one_shape(names: list[str]) -> list[str] | None:
    """Return the names in order if all have their digits at the same places: n01_0007.jpg; None for other names."""
    text, width = "".join(names), len(names[0])
    if not text.isascii() or len(text) != width * len(names) or not width or any(len(name) != width for name in names):
        return None
    letters = np.frombuffer(text.lower().encode("ascii"), np.uint8).reshape(-1, width)
    digits = (letters >= ord("0")) & (letters <= ord("9"))
    if (digits != digits[0]).any():
        return None
    keys = letters.view(f"S{width}")[:, 0]
    order = np.argsort(keys, kind="stable")
    different = (keys[order[1:]] != keys[order[:-1]]).all()  # in more than letter case
    return [names[place] for place in order.tolist()] if different else None
