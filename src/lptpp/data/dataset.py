"""Labeled images and the parts of a data set, with every check that holds for all sources."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np

from lptpp.utils.errors import UserError


class Stored(Protocol):
    """An encoded picture inside something larger, read when it is wanted; its `str` names it before a user."""

    def read_bytes(self) -> bytes:
        """Return the bytes of the image file."""
        ...


@dataclass(frozen=True)
class Encoded:
    """The bytes of an image file, in memory; `name` says where they come from."""

    data: bytes = field(repr=False)
    name: str

    def read_bytes(self) -> bytes:
        """Return the bytes of the image file."""
        return self.data

    def __str__(self) -> str:
        return self.name


ImageReference = Path | np.ndarray | Stored  # a file, a picture in memory as uint8 (H, W, 3), or a stored file


@dataclass
class Split:
    """Images and their labels: `labels` is (N,) int64, one for each of the N images."""

    images: list[ImageReference]
    labels: np.ndarray

    def __post_init__(self) -> None:
        self.labels = np.asarray(self.labels, dtype=np.int64)
        assert self.labels.shape == (len(self.images),)

    def __len__(self) -> int:
        return len(self.images)

    def subset(self, indices: np.ndarray) -> "Split":
        """Return the images at `indices` (int), in that order."""
        return Split([self.images[i] for i in indices], self.labels[indices])

    def counts(self, classes: int) -> np.ndarray:
        """Return the number of images of every class, (classes,) int64."""
        return np.bincount(self.labels, minlength=classes)

    def name(self, i: int) -> str:
        """Return what to call image `i` before a user: its path or name, or its place for an array."""
        image = self.images[i]
        return f"image {i}" if isinstance(image, np.ndarray) else str(image)


@dataclass
class Collection:
    """A data set: class names and up to three parts. A class may lack training images.

    Raises:
        UserError: fewer than two classes, an empty or repeated name, a label out of range, no training image.
    """

    class_names: list[str]
    train: Split
    validation: Split | None
    test: Split | None

    def __post_init__(self) -> None:
        _check_names(self.class_names)
        for part, split in self.parts().items():
            _check_labels(part, split, len(self.class_names))
        if not len(self.train):
            raise UserError("The training part holds no image: it needs at least one.")

    def parts(self) -> dict[str, Split]:
        """Return the parts that exist, by name: train, validation, test."""
        parts = {"train": self.train, "validation": self.validation, "test": self.test}
        return {name: split for name, split in parts.items() if split is not None}

    def counts(self) -> np.ndarray:
        """Return the number of training images of every class, (C,) int64."""
        return self.train.counts(len(self.class_names))


def _check_names(names: list[str]) -> None:
    if len(names) < 2:
        raise UserError(f"A data set needs at least two classes, this one has {len(names)}: {names}.")
    empty = [label for label, name in enumerate(names) if not name.strip()]
    if empty:
        raise UserError(f"Every class needs a name, class {empty[0]} has none: give it one.")
    repeated = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if repeated:
        raise UserError(f"Class names must differ, {repeated} stand for more than one class: rename one of each.")


def _check_labels(part: str, split: Split, classes: int) -> None:
    wrong = np.flatnonzero((split.labels < 0) | (split.labels >= classes))
    if len(wrong):
        i = int(wrong[0])
        raise UserError(
            f"{split.name(i)} ({part}) has label {split.labels[i]}, expected 0 to {classes - 1}: "
            "correct the label or the class names."
        )
