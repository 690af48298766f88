"""Images that occur more than once: listed twice, or files of equal content. No image is decoded."""

import hashlib
from collections.abc import Callable, Hashable, Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lptpp.data.check import map_in_threads
from lptpp.data.dataset import ImageDataset
from lptpp.data.files import Files

MOST_COMPARED = 20_000  # images of a data set whose files are compared; reading more takes longer than ten seconds


class Place(NamedTuple):
    """One occurrence of an image file."""

    image: Path
    split: str
    label: int


Group = list[Place]  # two or more occurrences of one image


def repeated_paths(dataset: ImageDataset) -> list[Group]:
    """Return the files that are listed more than once, in the order of their first places.

    Memory: 8 bytes an image, since only hashes of all paths are kept.
    """
    hashes = _hashes(dataset)
    values, counts = np.unique(hashes, return_counts=True)
    if (counts == 1).all():
        return []
    several = np.isin(hashes, values[counts > 1]).tolist()
    return _grouped((one for one, kept in zip(_places(dataset), several, strict=True) if kept), lambda one: one.image)


def _hashes(dataset: ImageDataset) -> np.ndarray:
    """Return a hash of each path, (n,) int64, in the order of `_places`."""
    parts = [split.images for split in dataset.splits().values()]
    files = [images for images in parts if isinstance(images, Files)]
    if len(files) == len(parts) and len({images.base for images in files}) == 1:  # no Path object is made
        return np.fromiter((hash(name) for images in files for name in images.names()), np.int64)
    return np.fromiter((hash(str(place.image)) for place in _places(dataset)), np.int64)


def equal_files(dataset: ImageDataset) -> list[Group]:
    """Return the files of equal content, each file once; only files of equal size are read.

    Empty, without reading any file, if the data set has more than `MOST_COMPARED` images.
    """
    if sum(len(split) for split in dataset.splits().values()) > MOST_COMPARED:
        return []
    places = list({place.image: place for place in _places(dataset)}.values())
    candidates = [place for group in _grouped(places, lambda one: _size(one.image)) for place in group]
    digests = dict(zip(candidates, map_in_threads(_digest, [one.image for one in candidates]), strict=True))
    return _grouped((one for one in candidates if digests[one] is not None), digests.__getitem__)


def is_across_splits(group: Group) -> bool:
    """Return whether the occurrences are in more than one split."""
    return len({place.split for place in group}) > 1


def is_across_classes(group: Group) -> bool:
    """Return whether the occurrences are in more than one class."""
    return len({place.label for place in group}) > 1


def _places(dataset: ImageDataset) -> Iterable[Place]:
    for name, split in dataset.splits().items():
        for image, label in zip(split.images, split.labels.tolist(), strict=True):
            if isinstance(image, Path):
                yield Place(image, name, label)


def _grouped(places: Iterable[Place], key: Callable[[Place], Hashable]) -> list[Group]:
    groups: dict[Hashable, Group] = {}
    for place in places:
        groups.setdefault(key(place), []).append(place)
    return [group for found, group in groups.items() if len(group) > 1 and found is not None]


def _size(image: Path) -> int | None:
    try:
        return image.stat().st_size or None
    except OSError:
        return None


def _digest(image: Path) -> bytes | None:
    try:
        with image.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
    except OSError:
        return None
