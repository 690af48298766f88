"""Images that occur more than once: listed twice, or files of equal content. No image is decoded."""

import hashlib
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple, overload

import numpy as np

from lptpp.data.check import map_in_threads
from lptpp.data.dataset import ImageDataset, ImageReference, Split
from lptpp.data.files import Files, runs

MOST_COMPARED = 20_000  # images of a data set whose files are compared; reading more takes longer than ten seconds


class Place(NamedTuple):
    """One occurrence of an image file."""

    image: Path
    split: str
    label: int


Group = Sequence[Place]  # two or more occurrences of one image


class Repeats(Sequence[Place]):
    """The n places of one file, without an object for each."""

    def __init__(self, image: Path, splits: Sequence[str], numbers: np.ndarray, labels: np.ndarray) -> None:
        self.image = image
        self.splits = splits  # of the data set
        self.numbers = numbers  # (n,) index in them
        self.labels = labels  # (n,)

    def __len__(self) -> int:
        return len(self.labels)

    @overload
    def __getitem__(self, place: int) -> Place: ...
    @overload
    def __getitem__(self, place: slice) -> "Repeats": ...
    def __getitem__(self, place: Any) -> Any:
        """Return a place, or those in a slice."""
        if isinstance(place, slice):
            return Repeats(self.image, self.splits, self.numbers[place], self.labels[place])
        return Place(self.image, self.splits[self.numbers[place]], int(self.labels[place]))


def repeated_paths(dataset: ImageDataset) -> Iterator[Group]:
    """Yield the files that are listed more than once, in the order of their first places.

    No object is kept for each image.
    """
    splits = dataset.splits()
    table = _table([part.images for part in splits.values()])
    return _of_hashes(dataset) if table is None else _of_table(table, splits)


def _table(parts: Sequence[Sequence[ImageReference]]) -> np.ndarray | None:
    """Return the texts of all paths in one array of strings, (n,) S; None if they have no common table."""
    files = [images for images in parts if isinstance(images, Files)]
    if len(files) < len(parts) or len({images.base for images in files}) > 1:
        return None
    tables = [table for images in files if (table := images.table()) is not None]
    return np.concatenate(tables) if len(tables) == len(files) else None


def _of_table(table: np.ndarray, splits: Mapping[str, Split]) -> Iterator[Group]:
    """Yield the repeats among paths (n,) S, which are those of all splits."""
    parts, names = list(splits.values()), list(splits)
    firsts = np.cumsum([0, *map(len, parts)])
    labels = np.concatenate([part.labels for part in parts])
    for rows in _equal(table):
        numbers = np.searchsorted(firsts, rows, side="right") - 1
        image = parts[numbers[0]].images[int(rows[0] - firsts[numbers[0]])]
        assert isinstance(image, Path)
        yield Repeats(image, names, numbers, labels[rows])


def _of_hashes(dataset: ImageDataset) -> Iterator[Group]:
    """Yield the repeats in any data set, one image after the other."""
    files = _Files(dataset)
    for places in _equal(files.hashes):
        yield from files.groups(files.rows[places])


def _equal(values: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the places of values (n,) that are equal to others, ascending, in the order of their first places."""
    order, starts = runs(values)
    ends = np.append(starts[1:], len(order))
    several = np.flatnonzero(ends - starts > 1)
    for one in several[np.argsort(order[starts[several]])].tolist():
        yield order[starts[one] : ends[one]]


class _Files:
    """The image files of a data set: their rows, counted over all splits, and a hash of each path, (n,) int64 each."""

    def __init__(self, dataset: ImageDataset) -> None:
        splits = dataset.splits()
        self.parts = [part.images for part in splits.values()]
        self.firsts = np.cumsum([0, *map(len, self.parts)])
        self.labels = np.concatenate([part.labels for part in splits.values()])
        self.names = list(splits)
        files = [images for images in self.parts if isinstance(images, Files)]
        self.files = len(files) == len(self.parts) and len({images.base for images in files}) == 1
        if self.files:  # no Path object is made
            texts = (name for images in files for name in images.names())
            self.bounds = [images.bounds() for images in files]
            self.hashes = np.fromiter(map(hash, texts), np.int64, len(self.labels))
            self.rows = np.arange(len(self.labels))
        else:
            found = [(row, hash(str(one))) for row, one in enumerate(chain(*self.parts)) if isinstance(one, Path)]
            self.rows, self.hashes = np.array(found, np.int64).reshape(-1, 2).T

    def groups(self, rows: np.ndarray) -> Iterator[Group]:
        """Yield the files that several of some rows of equal hash name."""
        numbers = np.searchsorted(self.firsts, rows, side="right") - 1
        within = rows - self.firsts[numbers]
        keys = [self._key(*pair) for pair in zip(numbers.tolist(), within.tolist(), strict=True)]
        last = {key: i for i, key in enumerate(keys)}
        images = {key: self.parts[numbers[i]][int(within[i])] for key, i in last.items()}
        splits, labels = [self.names[number] for number in numbers.tolist()], self.labels[rows].tolist()
        places = (Place(images[key], *place) for key, *place in zip(keys, splits, labels, strict=True))
        yield from _grouped(places, lambda place: place.image)

    def _key(self, number: int, place: int) -> Hashable:
        """Return what tells the file of a row from another."""
        if not self.files:
            return str(self.parts[number][place])
        starts, ends = self.bounds[number]
        return self.parts[number].text[starts[place] : ends[place]]  # type: ignore[attr-defined]


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
    if isinstance(group, Repeats):
        return bool((group.numbers != group.numbers[0]).any())
    return len({place.split for place in group}) > 1


def is_across_classes(group: Group) -> bool:
    """Return whether the occurrences are in more than one class."""
    if isinstance(group, Repeats):
        return bool((group.labels != group.labels[0]).any())
    return len({place.label for place in group}) > 1


def images_of(group: Group) -> Sequence[Path]:
    """Return the different files of a group, in order."""
    return [group.image] if isinstance(group, Repeats) else list(dict.fromkeys(place.image for place in group))


def _places(dataset: ImageDataset) -> Iterable[Place]:
    for name, split in dataset.splits().items():
        for image, label in zip(split.images, split.labels.tolist(), strict=True):
            if isinstance(image, Path):
                yield Place(image, name, label)


def _grouped(places: Iterable[Place], key: Callable[[Place], Hashable]) -> list[Group]:
    groups: dict[Hashable, list[Place]] = {}
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
