"""Every image of a source under its name, before splits are drawn: what a record is made from and compared with."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from lptpp.checkpoint.record import SPLITS, UNUSED, ImageRecord, packed
from lptpp.data.content import DIGEST, image_names, stamps_of
from lptpp.data.dataset import ImageDataset, ImageReference, Split, joined, taken
from lptpp.data.files import Files, runs
from lptpp.data.names import Names, hashes
from lptpp.utils.errors import UserError


@dataclass(frozen=True)
class Listing:
    """The n images of a source, sorted by name, then label, then split."""

    names: Sequence[str]
    images: Sequence[ImageReference]
    labels: np.ndarray  # (n,) index in the classes of the run, -1 for another class
    splits: np.ndarray  # (n,) index in SPLITS
    class_names: list[str]  # of the source
    own_labels: np.ndarray  # (n,) index in these
    parts: Mapping[str, Split] = field(default_factory=dict)  # the splits of the source
    order: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))  # (n,) index in these splits, joined

    @classmethod
    def of(cls, whole: ImageDataset, class_names: list[str], root: str | None) -> "Listing":
        """List a data set of which nothing is drawn or left out; `class_names` are those of the run."""
        parts = whole.splits()
        images = joined([part.images for part in parts.values()])
        own = np.concatenate([part.labels for part in parts.values()]).astype(np.int32)
        numbers = np.array([SPLITS.index(name) for name in parts], np.uint8)
        splits = np.repeat(numbers, [len(part) for part in parts.values()])
        labels = _in_classes(whole.class_names, class_names)[own]
        names = image_names(images, root)
        names, order = _in_order(names, labels, splits)
        return cls(
            names, taken(images, order), labels[order], splits[order],
            whole.class_names, own[order], parts, order,
        )  # fmt: skip

    def stamps(self, rows: np.ndarray) -> np.ndarray:
        """Return the stamps of the images in rows (m,), (m, 2) int64; a file with several rows is looked up once."""
        if not isinstance(self.names, Names):
            return stamps_of(taken(self.images, rows))
        table = self.names.table
        is_first = np.ones(len(table), bool)
        is_first[1:] = table[1:] != table[:-1]
        files = np.cumsum(is_first, dtype=np.int32)[rows] - 1  # the number of the file in each row
        is_used = np.zeros(np.count_nonzero(is_first), bool)
        is_used[files] = True
        found = stamps_of(taken(self.images, np.flatnonzero(is_first)[is_used]), repeated=False)
        return found[np.cumsum(is_used, dtype=np.int32)[files] - 1]


def _in_order(names: Sequence[str], labels: np.ndarray, splits: np.ndarray) -> tuple[Sequence[str], np.ndarray]:
    """Return sorted names, and the order by name, then label, then split, (n,) int64."""
    if isinstance(names, Names):
        order, starts = runs(names.table)
        keys = np.repeat(np.arange(len(starts)), np.diff(starts, append=len(order)))  # the ranks of the names
        for numbers in (labels, splits):
            keys *= int(numbers.max(initial=0)) + 2
            keys += numbers[order] + 1
        ordered = Names(names.table[order])  # the order of equal names does not matter
        return ordered, order[np.argsort(keys, kind="stable")]
    rows = np.lexsort((splits, labels)).tolist()
    rows.sort(key=names.__getitem__)  # stable
    return [names[i] for i in rows], np.array(rows, np.int64)


def _in_classes(names: list[str], class_names: list[str]) -> np.ndarray:
    """Return the index in `class_names` of each of `names`, int32; -1 if it is not one of them."""
    index = {name: label for label, name in enumerate(class_names)}
    return np.array([index.get(name, -1) for name in names], dtype=np.int32)


def make_record(listing: Listing, collection: ImageDataset, root: str | None) -> tuple[ImageRecord, np.ndarray]:
    """Return the record of a data set drawn from a listing, without digests, and the stamps of its images, (m, 2).

    Raises:
        UserError: the data set has an image that the listing lacks.
    """
    rows = _places(listing, collection) or _searched(listing, collection, root)
    stamps = listing.stamps(np.concatenate(rows))  # before the content is read: a later change is noticed
    return _drawn(listing, dict(zip(collection.splits(), rows, strict=True))), stamps


def _drawn(listing: Listing, drawn: Mapping[str, np.ndarray]) -> ImageRecord:
    """Return the record, without digests, of the rows of each split."""
    n = len(listing.names)
    splits, places = np.full(n, UNUSED, np.uint8), np.zeros(n, np.uint32)
    for split, rows in drawn.items():
        splits[rows], places[rows] = SPLITS.index(split), np.arange(len(rows), dtype=np.uint32)
    digests = np.zeros((n, DIGEST), np.uint8)
    return ImageRecord(*packed(listing.names), listing.labels, listing.splits, splits, places, digests)


def _places(listing: Listing, collection: ImageDataset) -> list[np.ndarray] | None:
    """Return the rows of each split, (m,) each, by the places of its paths in the text of the source.

    None if a split is not drawn from the paths and labels of the source, or has a path twice.
    """
    row = np.empty(len(listing.order), np.uint32)
    row[listing.order] = np.arange(len(row), dtype=np.uint32)
    firsts = dict(zip(listing.parts, np.cumsum([0, *map(len, listing.parts.values())]), strict=False))
    is_taken, found = np.zeros(len(row), bool), []
    for split, part in collection.splits().items():
        source = split if split in firsts else "train"
        places = _within(part.images, listing.parts[source].images) if source in firsts else None
        if places is None:
            return None
        found.append(row[firsts[source] + places])
        if (listing.labels[found[-1]] != part.labels).any():
            return None
        is_taken[found[-1]] = True
    return found if np.count_nonzero(is_taken) == sum(map(len, found)) else None


def _within(images: Sequence[ImageReference], source: Sequence[ImageReference]) -> np.ndarray | None:
    """Return the index in `source` of images that were taken from it, (m,); None if that is not known."""
    if not isinstance(images, Files) or not isinstance(source, Files) or source.rows is not None:
        return None
    if images.base != source.base or images.text != source.text or not np.array_equal(images.ends, source.ends):
        return None
    return np.arange(len(images), dtype=np.uint32) if images.rows is None else images.rows


def _searched(listing: Listing, collection: ImageDataset, root: str | None) -> list[np.ndarray]:
    """Return the rows of each split, (m,) each, by names and labels; raises `UserError` as `make_record`."""
    used = Rows(listing)
    return [used.take(image_names(part.images, root), part.labels) for part in collection.splits().values()]


class Rows:
    """The rows of a listing by name and label; an image that occurs more than once has several, taken in order.

    Names and labels are found by 64 bits that stand for both, without an object for each image.
    """

    def __init__(self, listing: Listing) -> None:
        self.names = listing.names
        keys = _keys(listing.names, listing.labels)
        self.rows = np.argsort(keys, kind="stable")
        self.keys = keys[self.rows]
        self.taken = np.zeros(len(keys), np.uint32)  # by the first place of a key: the rows that are taken

    def take(self, names: Sequence[str], labels: np.ndarray) -> np.ndarray:
        """Return a row for each name and label, (m,) int64, that no other call returns.

        Raises:
            UserError: there is none.
        """
        wanted = _keys(names, labels)
        order = np.argsort(wanted, kind="stable")
        keys = wanted[order]
        places = np.searchsorted(self.keys, keys)
        inside = np.minimum(places, len(self.keys) - 1)
        places += self.taken[inside]
        places += np.arange(len(keys))
        places -= np.searchsorted(keys, keys)
        known = places < len(self.keys)
        known[known] = self.keys[places[known]] == keys[known]
        rows = np.full(len(names), -1)
        rows[order[known]] = self.rows[places[known]]
        for name in _others(names, self.names, rows):
            raise UserError(f"{name} was added or changed while the run was starting: start again.")
        np.add.at(self.taken, inside, 1)
        return rows


def _others(names: Sequence[str], known: Sequence[str], rows: np.ndarray) -> Iterator[str]:
    """Yield the names that differ from those in their rows; row -1 has none."""
    if isinstance(names, Names) and isinstance(known, Names) and len(known):
        yield from Names(names.table[(rows < 0) | (known.table[rows] != names.table)])
    else:
        pairs = zip(names, rows.tolist(), strict=True)
        yield from (name for name, row in pairs if row < 0 or known[row] != name)


def _keys(names: Sequence[str], labels: np.ndarray) -> np.ndarray:
    """Return 64 bits for each name and label, (n,) uint64; those of different ones are different but for a miracle."""
    return hashes(names) + labels.astype(np.int64).astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
