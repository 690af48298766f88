"""Every image of a source under its name, before splits are drawn: what a record is made from and compared with."""

from dataclasses import dataclass

import numpy as np

from lptpp.checkpoint.record import SPLITS, UNUSED, ImageRecord, packed
from lptpp.data.content import DIGEST, image_names, stamps_of
from lptpp.data.dataset import ImageDataset, ImageReference
from lptpp.utils.errors import UserError


@dataclass(frozen=True)
class Listing:
    """The n images of a source, sorted by name, then label, then split."""

    names: list[str]
    images: list[ImageReference]
    labels: np.ndarray  # (n,) index in the classes of the run, -1 for another class
    splits: np.ndarray  # (n,) index in SPLITS
    class_names: list[str]  # of the source
    own_labels: np.ndarray  # (n,) index in these

    @classmethod
    def of(cls, whole: ImageDataset, class_names: list[str], root: str | None) -> "Listing":
        """List a data set of which nothing is drawn or left out; `class_names` are those of the run."""
        parts = whole.splits()
        images = [image for part in parts.values() for image in part.images]
        own = np.concatenate([part.labels for part in parts.values()]).astype(np.int32)
        splits = np.repeat([SPLITS.index(name) for name in parts], [len(part) for part in parts.values()])
        labels = _in_classes(whole.class_names, class_names)[own]
        names = image_names(images, root)
        order = np.lexsort((splits, labels)).tolist()
        order.sort(key=names.__getitem__)  # stable
        return cls(
            [names[i] for i in order], [images[i] for i in order], labels[order], splits[order].astype(np.uint8),
            whole.class_names, own[order],
        )  # fmt: skip


def _in_classes(names: list[str], class_names: list[str]) -> np.ndarray:
    """Return the index in `class_names` of each of `names`, int32; -1 if it is not one of them."""
    index = {name: label for label, name in enumerate(class_names)}
    return np.array([index.get(name, -1) for name in names], dtype=np.int32)


def make_record(listing: Listing, collection: ImageDataset, root: str | None) -> tuple[ImageRecord, np.ndarray]:
    """Return the record of a data set drawn from a listing, without digests, and the stamps of its images, (m, 2).

    Raises:
        UserError: the data set has an image that the listing lacks.
    """
    images = [image for part in collection.splits().values() for image in part.images]
    return _drawn(listing, collection, root), stamps_of(images)  # before the content: a later change is noticed


def _drawn(listing: Listing, collection: ImageDataset, root: str | None) -> ImageRecord:
    """Return the record without digests."""
    n = len(listing.names)
    splits, places = np.full(n, UNUSED, np.uint8), np.zeros(n, np.uint32)
    first = {name: n - 1 - i for i, name in enumerate(reversed(listing.names))}
    for split, part in collection.splits().items():
        for place, (name, label) in enumerate(zip(image_names(part.images, root), part.labels.tolist(), strict=True)):
            row = first.get(name, n)
            while row < n and listing.names[row] == name and (splits[row] != UNUSED or listing.labels[row] != label):
                row += 1  # the image occurs more than once
            if row == n or listing.names[row] != name:
                raise UserError(f"{name} was added or changed while the run was starting: start again.")
            splits[row], places[row] = SPLITS.index(split), place
    digests = np.zeros((n, DIGEST), np.uint8)
    return ImageRecord(*packed(listing.names), listing.labels, listing.splits, splits, places, digests)
