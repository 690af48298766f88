"""The inputs of `lptpp predict`: made-up names of one folder, and lines of a list; no file exists."""

import os
import random
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import gcd
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

from lptpp.data.sources import walk
from lptpp.prediction.inputs import expand
from lptpp.prediction.listing import write_listing
from lptpp.prediction.parts import PART


def list_folder(images: int, folder: Path) -> None:
    """Write the listing of a folder with files called by random numbers of eight digits."""
    with _folder_of(images):
        write_listing(folder / "listing", expand([folder], scratch=folder), PART)


def list_lines(file: Path) -> None:
    """Write the listing of a list of paths."""
    write_listing(file.with_suffix(".listing"), expand([file]), PART)


def peak(work: Callable[[], object]) -> float:
    """Return the largest number of megabytes that Python holds for some work; it is several times slower meanwhile."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1] / 1e6
    finally:
        tracemalloc.stop()


@contextmanager
def _folder_of(images: int) -> Iterator[None]:
    """Let every folder seem to contain as many image files, in an order without a pattern."""

    @contextmanager
    def scandir(folder: str) -> Iterator[Iterator[object]]:
        draw = random.Random(0)
        names = (f"{number:04}{draw.randrange(10**4):04}.jpg" for number in _permuted(images))
        yield (_Entry(name, os.path.join(folder, name)) for name in names)  # noqa: PTH118 (as os.scandir)

    with patch.object(walk, "os", SimpleNamespace(scandir=scandir, path=os.path, walk=os.walk)):
        yield


def _permuted(images: int) -> Iterator[int]:
    """Yield the numbers below `images`, far apart, without a list of them."""
    step = next(step for step in range(images * 618 // 1000, 2 * images) if gcd(step, images) == 1)
    return (number * step % images for number in range(images))


class _Entry:
    """A regular file, as `os.DirEntry`."""

    __slots__ = ("name", "path")

    def __init__(self, name: str, path: str) -> None:
        self.name, self.path = name, path

    def is_file(self, *, follow_symlinks: bool = True) -> bool:
        """Return True."""
        return True

    def is_dir(self, *, follow_symlinks: bool = True) -> bool:
        """Return False."""
        return False
