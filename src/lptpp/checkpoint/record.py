"""The images of a run, one by one: made when training starts, compared whenever the run meets its data again.

The record, `checkpoint/images.safetensors`, never changes; every checkpoint contains its digest. The digests of the
contents, `checkpoint/image_digests.safetensors`, are computed while the run trains. The stamps of the files (size and
time), `checkpoint/image_stamps.safetensors`, only save reading files again, and are renewed. Together they take 46
bytes an image, and its name.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file, save

from lptpp.data.content import DIGEST
from lptpp.utils.digest import file_digest
from lptpp.utils.disk import atomic_write, make_folder
from lptpp.utils.errors import UserError

RECORD = "images.safetensors"
DIGESTS = "image_digests.safetensors"
STAMPS = "image_stamps.safetensors"
SPLITS = ("train", "validation", "test")  # by number
UNUSED = len(SPLITS)  # the number of images that no split has: left out by a long tail, or unreadable


@dataclass(frozen=True)
class ImageRecord:
    """Every image that the source of a run has, n in all, sorted by name, then label, then source split."""

    text: np.ndarray  # the names in UTF-8, one after the other, uint8
    lengths: np.ndarray  # (n,) bytes of each name, uint32
    labels: np.ndarray  # (n,) int32
    source_splits: np.ndarray  # (n,) the split in which the source has the image, uint8
    splits: np.ndarray  # (n,) the split in which the run has it, or UNUSED, uint8
    places: np.ndarray  # (n,) its index in that split, uint32
    digests: np.ndarray  # (n, DIGEST) of its content, uint8; zeros if UNUSED or not known yet

    def names(self) -> Iterator[str]:
        """Yield the names, in order."""
        text, end = self.text.tobytes(), 0
        for length in self.lengths.tolist():
            end += length
            yield text[end - length : end].decode("utf-8", "surrogateescape")

    def used(self) -> np.ndarray:
        """Return the rows of the images that a split has, (m,) int64, in the order of the splits."""
        rows = np.flatnonzero(self.splits != UNUSED)
        return rows[np.lexsort((self.places[rows], self.splits[rows]))]

    def digests_in(self, split: str) -> np.ndarray:
        """Return the digests of the images of a split, (m, DIGEST)."""
        return self.digests[self.splits == SPLITS.index(split)]


def packed(names: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return names as the fields `text` and `lengths` of a record."""
    encoded = [name.encode("utf-8", "surrogateescape") for name in names]
    lengths = np.fromiter(map(len, encoded), np.uint32, len(encoded))
    return np.frombuffer(b"".join(encoded), np.uint8), lengths


def write_record(root: Path, record: ImageRecord) -> None:
    """Write the record to the checkpoint folder of a run, without the digests."""
    make_folder(root)
    _write(root / RECORD, {one.name: getattr(record, one.name) for one in fields(record) if one.name != "digests"})


def write_digests(root: Path, digests: np.ndarray) -> None:
    """Write the digests of the used images, (m, DIGEST) uint8."""
    seal = hashlib.sha256(np.ascontiguousarray(digests)).hexdigest()
    _write(root / DIGESTS, {"digests": digests}, {"sha256": seal})


def read_digests(root: Path, images: int) -> np.ndarray:
    """Return the digests of the used images, (m, DIGEST); zeros if they are missing or damaged."""
    unknown = np.zeros((images, DIGEST), np.uint8)
    try:
        with safe_open(root / DIGESTS, "np") as file:
            found, seal = file.get_tensor("digests"), (file.metadata() or {}).get("sha256")
    except (OSError, SafetensorError):
        return unknown
    intact = found.shape == unknown.shape and hashlib.sha256(np.ascontiguousarray(found)).hexdigest() == seal
    return found if intact else unknown


def read_record(root: Path, expected: str | None) -> ImageRecord:
    """Return the record in the checkpoint folder of a run; `expected` is its digest in the checkpoint.

    Raises:
        UserError: it is missing or not the one that the checkpoint was written with.
    """
    if expected is None or record_digest(root) != expected:
        raise UserError(
            f"{root / RECORD}, which lists the images of the run, is missing or changed: restore it, or train again"
            " in a new run folder."
        )
    arrays = load_file(root / RECORD)
    record = ImageRecord(**arrays, digests=np.zeros((len(arrays["labels"]), DIGEST), np.uint8))
    rows = record.used()
    record.digests[rows] = read_digests(root, len(rows))
    return record


def record_digest(root: Path) -> str | None:
    """Return the sha256 of the record in a checkpoint folder; None without one."""
    try:
        return file_digest(root / RECORD)
    except FileNotFoundError:
        return None


def write_stamps(root: Path, stamps: np.ndarray, folder: str) -> None:
    """Write the stamps of the used images, (m, 2) int64, and the folder in which the images lie."""
    _write(root / STAMPS, {"stamps": stamps}, {"folder": folder})


def read_stamps(root: Path, images: int, folder: str) -> np.ndarray | None:
    """Return the stamps of the used images, (m, 2); None if they are missing or of images in another folder."""
    if not (root / STAMPS).is_file():
        return None
    try:
        with safe_open(root / STAMPS, "np") as file:
            stamps, known = file.get_tensor("stamps"), (file.metadata() or {}).get("folder")
    except (OSError, SafetensorError):
        return None
    return stamps if known == folder and stamps.shape == (images, 2) else None


def _write(path: Path, arrays: dict[str, Any], about: dict[str, str] | None = None) -> None:
    with atomic_write(path, "wb") as file:
        file.write(save({name: np.ascontiguousarray(array) for name, array in arrays.items()}, about))
