"""The images of a run, one by one: made when training starts, compared whenever the run meets its data again.

The record, `checkpoint/images.safetensors`, never changes; every checkpoint contains its digest. The digests of the
contents, `checkpoint/image_digests.safetensors`, are computed while the run trains. The stamps of the files (size and
time), `checkpoint/image_stamps.safetensors`, only save reading files again, and are renewed. Together they take 42
bytes per image, plus its name.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save

from lptpp.data.content import DIGEST
from lptpp.data.names import Names
from lptpp.utils.arrays import read_arrays, write_arrays
from lptpp.utils.digest import file_digest
from lptpp.utils.disk import atomic_write, make_folder
from lptpp.utils.errors import UserError

RECORD = "images.safetensors"
DIGESTS = "image_digests.safetensors"
STAMPS = "image_stamps.safetensors"
SPLITS = ("train", "validation", "test")  # by number
TYPES = {
    "text": "uint8", "lengths": "uint32", "labels": "int32", "source_splits": "uint8", "splits": "uint8",
    "places": "uint32",
}  # fmt: skip
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

    def is_drawn(self, split: str) -> bool:
        """Return whether the run drew images for a split: some that the source has in another one."""
        mine = self.splits == SPLITS.index(split)
        return bool((mine & (self.source_splits != self.splits)).any())

    def digests_in(self, split: str) -> np.ndarray:
        """Return the digests of the images of a split, (m, DIGEST)."""
        return self.digests[self.splits == SPLITS.index(split)]


def packed(names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return names as the fields `text` and `lengths` of a record."""
    if isinstance(names, Names):
        return names.packed()
    encoded = [name.encode("utf-8", "surrogateescape") for name in names]
    lengths = np.fromiter(map(len, encoded), np.uint32, len(encoded))
    return np.frombuffer(b"".join(encoded), np.uint8), lengths


def write_record(root: Path, record: ImageRecord) -> None:
    """Write the record to the checkpoint folder of a run, without the digests."""
    make_folder(root)
    _write(root / RECORD, {one.name: getattr(record, one.name) for one in fields(record) if one.name != "digests"})


def write_digests(root: Path, digests: np.ndarray) -> None:
    """Write the digests of the used images, (m, DIGEST) uint8."""
    write_arrays(root / DIGESTS, {"digests": digests})


def read_digests(root: Path, images: int) -> np.ndarray:
    """Return the digests of the used images, (m, DIGEST); zeros if they are missing or damaged."""
    unknown = np.zeros((images, DIGEST), np.uint8)
    arrays, _ = read_arrays(root / DIGESTS) or ({}, {})
    found = arrays.get("digests", unknown)
    return found if (found.shape, found.dtype) == (unknown.shape, unknown.dtype) else unknown


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
    if not _is_record(arrays):
        raise UserError(f"{root / RECORD} does not list images: train again in a new run folder.")
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


def _is_record(arrays: dict[str, np.ndarray]) -> bool:
    """Return whether arrays have the names, types and sizes of a record, which a digest alone does not show."""
    if {name: array.dtype.name for name, array in arrays.items()} != TYPES:
        return False
    n, lengths = len(arrays["labels"]), arrays["lengths"]
    if any(array.ndim != 1 or (name != "text" and len(array) != n) for name, array in arrays.items()):
        return False
    if int(lengths.sum(dtype=np.uint64)) != len(arrays["text"]) or (arrays["splits"] > UNUSED).any():
        return False
    return not (arrays["source_splits"] >= len(SPLITS)).any()


def write_stamps(root: Path, stamps: np.ndarray, folder: str) -> None:
    """Write the stamps of the used images, (m, 2) int64, and the folder in which the images lie."""
    write_arrays(root / STAMPS, {"sizes": stamps[:, 0].astype(np.int32), "times": stamps[:, 1]}, {"folder": folder})


def read_stamps(root: Path, images: int, folder: str) -> np.ndarray | None:
    """Return the stamps of the used images, (m, 2); None if they are missing, damaged or of another folder."""
    arrays, about = read_arrays(root / STAMPS) or ({}, {})
    if {name: (array.shape, array.dtype) for name, array in arrays.items()} != {
        "sizes": ((images,), np.int32),
        "times": ((images,), np.int64),
    }:
        return None
    return np.stack([arrays["sizes"], arrays["times"]], 1) if about.get("folder") == folder else None


def _write(path: Path, arrays: dict[str, Any]) -> None:
    with atomic_write(path, "wb") as file:
        file.write(save({name: np.ascontiguousarray(array) for name, array in arrays.items()}))
