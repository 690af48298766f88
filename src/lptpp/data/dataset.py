"""Labeled images, the splits of a data set, and the checks that hold for every source."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from lptpp.data.files import Files, concatenated
from lptpp.utils.errors import UserError
from lptpp.utils.paths import special_kind


class StoredImage(Protocol):
    """An encoded image inside a larger file, read on demand; `str()` of it is its name in messages."""

    def read_bytes(self) -> bytes:
        """Return the bytes of the image file."""
        ...


@dataclass(frozen=True)
class EncodedImage:
    """The bytes of an image file in memory; `name` is its name in messages."""

    data: bytes = field(repr=False)
    name: str

    def read_bytes(self) -> bytes:
        """Return the bytes of the image file."""
        return self.data

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class MissingImage:
    """An empty table cell: an unreadable image; `name` is its place in messages."""

    name: str

    def read_bytes(self) -> bytes:
        """Raise ValueError."""
        raise ValueError("the row has no image")

    def __str__(self) -> str:
        return self.name


ImageReference = Path | np.ndarray | StoredImage  # a file, pixels as uint8 (H, W, 3), or an encoded image


def image_bytes(image: Path | StoredImage) -> bytes:
    """Return the bytes of an image file; raises ValueError for a FIFO or a device, whose reading may never end."""
    if isinstance(image, Path) and (kind := special_kind(image)):
        raise ValueError(f"{kind}, not a regular file")
    return image.read_bytes()


def taken(images: Sequence[ImageReference], indices: np.ndarray | list[int]) -> Sequence[ImageReference]:
    """Return the images at `indices`, in that order."""
    if isinstance(images, Files):
        return images.take(np.asarray(indices, np.int64))
    return [images[i] for i in indices]


def joined(parts: Sequence[Sequence[ImageReference]]) -> Sequence[ImageReference]:
    """Return the images of several splits, in order."""
    files = [part for part in parts if isinstance(part, Files)]
    if len(files) == len(parts) and len({part.base for part in files}) == 1:
        return concatenated(files)
    return [image for part in parts for image in part]


@dataclass
class Split:
    """N images and their labels, (N,) int64."""

    images: Sequence[ImageReference]  # files of a folder or a list: `lptpp.data.files.Files`
    labels: np.ndarray

    def __post_init__(self) -> None:
        self.labels = np.asarray(self.labels, dtype=np.int64)
        assert self.labels.shape == (len(self.images),)

    def __len__(self) -> int:
        return len(self.images)

    def subset(self, indices: np.ndarray) -> "Split":
        """Return the images at `indices` (int), in that order."""
        return Split(taken(self.images, indices), self.labels[indices])

    def counts(self, classes: int) -> np.ndarray:
        """Return the number of images per class, (classes,) int64."""
        return np.bincount(self.labels, minlength=classes)

    def name(self, i: int) -> str:
        """Return the name of image `i` in messages: its path or name, its index for an array."""
        image = self.images[i]
        return f"image {i}" if isinstance(image, np.ndarray) else str(image)


class Note(NamedTuple):
    """Something that a source found and the user should know, such as a file that it passed over."""

    kind: str  # a key of `lptpp.data.warnings.KINDS`
    item: str  # the file, folder, class or column
    detail: str = ""


@dataclass
class ImageDataset:
    """Class names, up to three splits, and the notes of the source. A class may have no training images.

    Raises:
        UserError: fewer than two classes, an empty or duplicate class name, a label out of range, no training image.
    """

    class_names: list[str]
    train: Split
    validation: Split | None
    test: Split | None
    notes: list[Note] = field(default_factory=list)

    def __post_init__(self) -> None:
        _check_names(self.class_names)
        for name, split in self.splits().items():
            _check_labels(name, split, len(self.class_names))
        if not len(self.train):
            raise UserError("The training split is empty: at least one image is required.")

    def splits(self) -> dict[str, Split]:
        """Return the existing splits by name: train, validation, test."""
        splits = {"train": self.train, "validation": self.validation, "test": self.test}
        return {name: split for name, split in splits.items() if split is not None}

    def counts(self) -> np.ndarray:
        """Return the number of training images per class, (C,) int64."""
        return self.train.counts(len(self.class_names))


def _check_names(names: list[str]) -> None:
    if len(names) < 2:
        raise UserError(f"A data set needs at least two classes, found {len(names)}: {names}.")
    empty = [label for label, name in enumerate(names) if not name.strip()]
    if empty:
        raise UserError(f"Class {empty[0]} has an empty name: every class needs a name.")
    duplicates = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if duplicates:
        raise UserError(f"Class names must be unique; used more than once: {duplicates}.")


def _check_labels(name: str, split: Split, classes: int) -> None:
    wrong = np.flatnonzero((split.labels < 0) | (split.labels >= classes))
    if len(wrong):
        i = int(wrong[0])
        raise UserError(
            f"{split.name(i)} ({name}) has label {split.labels[i]}, expected 0 to {classes - 1}: "
            "correct the label or the class names."
        )
