"""What identifies an image: its name, a stamp that is cheap to read, and the digest of its content."""

import hashlib
import os
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from lptpp.data.check import map_in_threads
from lptpp.data.dataset import ImageReference, image_bytes, taken
from lptpp.data.files import Files, runs
from lptpp.data.names import Names
from lptpp.utils.paths import PACKAGES
from lptpp.utils.progress import progress_bar

DIGEST = 16  # bytes of a digest
SEPARATORS = "/ :"  # between a root and a name: root/a.png, root train row 3
CHUNK = 64  # images handed to a thread at once
UNKNOWN = (0, 0)  # the stamp of an image whose content must be read to know whether it changed
MISSING = (-1, 0)  # the stamp of a file that does not exist
SIZES = 2**31  # sizes are kept modulo this number, in 4 bytes

Stamp = tuple[int, int]  # size in bytes, time of the last change in ns
Result = TypeVar("Result")


def image_name(image: ImageReference, root: str | None) -> str:
    """Return the name of an image relative to `root`, or to the installed packages, in Unicode form NFC.

    Outside of both it is the whole path. An array has no name; its digest stands for it.
    """
    if isinstance(image, np.ndarray):
        return digest(image).hex()
    name = unicodedata.normalize("NFC", str(image))
    for base in (PACKAGES,) if root is None else (unicodedata.normalize("NFC", root_folder(root)), PACKAGES):
        if name.startswith(base) and name[len(base) : len(base) + 1] in SEPARATORS:
            return name[len(base) :].lstrip(SEPARATORS)
    return name


def image_names(images: Sequence[ImageReference], root: str | None) -> Sequence[str]:
    """Return the `image_name` of each image."""
    base = "" if root is None else str(Path(root_folder(root)) / "_").removesuffix("_")
    if not isinstance(images, Files) or root is None or images.base != base or not base.isascii():
        return [image_name(image, root) for image in images]
    if images.text.isascii() and (table := images.table()) is not None:
        return Names(table)
    return [os.fsdecode(name) if name.isascii() else image_name(Path(base + os.fsdecode(name)), root)
            for name in images.names()]  # fmt: skip


def root_folder(root: str) -> str:
    """Return `data.root` as it begins the names of images."""
    return str(Path(root).expanduser())


def stamp(image: ImageReference) -> Stamp:
    """Return size and time of the file that holds an image: while it stays the same, so does the image."""
    if isinstance(image, Path):
        return _file_stamp(image)
    return getattr(image, "stamp", UNKNOWN)


def _file_stamp(path: Path | bytes) -> Stamp:
    try:
        found = os.stat(path)  # noqa: PTH116
    except OSError:
        return MISSING
    return found.st_size, found.st_mtime_ns


def _stamps(images: Sequence[ImageReference]) -> list[Stamp]:
    if not isinstance(images, Files):
        return list(map(stamp, images))
    base = os.fsencode(images.base)  # no Path object is made
    return [_file_stamp(base + name) for name in images.names()]


def digest(image: ImageReference) -> bytes:
    """Return the BLAKE2b digest of an image file or an array, (DIGEST,) bytes; zeros if it cannot be read."""
    try:
        content = _of_array(image) if isinstance(image, np.ndarray) else image_bytes(image)
    except (OSError, ValueError):
        return bytes(DIGEST)
    return hashlib.blake2b(content, digest_size=DIGEST).digest()


def stamps_of(images: Sequence[ImageReference]) -> np.ndarray:
    """Return the stamp of each image, (n, 2) int64; a file that several rows name is looked up once."""
    table = images.table() if isinstance(images, Files) and len(images) > CHUNK else None
    if table is None:
        return _each_stamp(images)
    order, starts = runs(table)
    first = order[starts]
    found = _each_stamp(taken(images, first))
    stamps = np.empty((len(images), 2), np.int64)
    stamps[order] = np.repeat(found, np.diff(starts, append=len(order)), 0)
    return stamps


def _each_stamp(images: Sequence[ImageReference]) -> np.ndarray:
    numbers = (number for pair in _of_all(_stamps, images, "Looking for changed images") for number in pair)
    found = np.fromiter(numbers, np.int64, 2 * len(images)).reshape(-1, 2)
    found[:, 0] = np.where(found[:, 0] < 0, found[:, 0], found[:, 0] % SIZES)
    return found


def digests_of(images: Sequence[ImageReference], description: str) -> np.ndarray:
    """Return the digest of each image, (n, DIGEST) uint8."""
    found = b"".join(_of_all(lambda chunk: list(map(digest, chunk)), images, description))
    return np.frombuffer(found, dtype=np.uint8).reshape(-1, DIGEST)


def _of_array(array: np.ndarray) -> bytes:
    return f"{array.dtype} {array.shape} ".encode() + array.tobytes()


def _of_all(
    function: Callable[[Sequence[ImageReference]], list[Result]], images: Sequence[ImageReference], description: str
) -> Iterator[Result]:
    """Yield what `function` returns for chunks of images, in order, computed in threads and with a progress bar."""
    chunks = [images[start : start + CHUNK] for start in range(0, len(images), CHUNK)]
    with progress_bar(description, len(images)) as bar:
        for found in map_in_threads(function, chunks):
            bar.advance(len(found))
            yield from found
