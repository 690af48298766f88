"""Images with labels as written in a table, in shards or on the hub, and the data set built from them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lptpp.data.dataset import ImageDataset, ImageReference, Split
from lptpp.data.sources.labels import clean_label, infer_class_names, label_indices
from lptpp.data.split import SPLIT_NAMES, split_of, with_test_split
from lptpp.utils.errors import UserError


@dataclass(frozen=True)
class LabeledImages:
    """Images, their labels as written, and the place of each row in messages."""

    images: list[ImageReference]
    labels: list[Any]
    places: list[str]

    def subset(self, indices: Sequence[int]) -> "LabeledImages":
        """Return the rows at `indices`, in that order."""
        return LabeledImages(
            [self.images[i] for i in indices],
            [self.labels[i] for i in indices],
            [self.places[i] for i in indices],
        )


def concatenate(several: Sequence[LabeledImages]) -> LabeledImages:
    """Return the rows of all, in order."""
    return LabeledImages(
        [image for rows in several for image in rows.images],
        [label for rows in several for label in rows.labels],
        [place for rows in several for place in rows.places],
    )


def by_split(rows: LabeledImages, names: Sequence[Any]) -> dict[str, LabeledImages]:
    """Return the rows of each split, given the value of the split column for each row.

    Raises:
        UserError: a value is not in `SPLIT_NAMES`.
    """
    indices: dict[str, list[int]] = {}
    for i, name in enumerate(names):
        indices.setdefault(split_name(name, rows.places[i]), []).append(i)
    return {split: rows.subset(found) for split, found in indices.items()}


def split_name(value: Any, place: str) -> str:
    """Return train, validation or test for a value of the split column; raises UserError for any other value."""
    split = split_of(str(value))
    if split is None:
        raise UserError(
            f"{place} has the split {value!r}: expected one of {', '.join(SPLIT_NAMES)}; or set data.split_column=none"
            " if the column has no splits."
        )
    return split


def build_dataset(
    rows: Mapping[str, LabeledImages], names: list[str] | None, test: float, split_seed: int
) -> ImageDataset:
    """Return the data set of rows per split; without a test split the share `test` of every class is drawn for it.

    Without class names the labels are the names (see `lptpp.data.sources.labels`).

    Raises:
        UserError: there is no training split, or a label is invalid.
    """
    if "train" not in rows:
        raise UserError(f"There is no training split, only {', '.join(rows) or 'none'}: name one split train.")
    labels = {split: list(map(clean_label, found.labels, found.places)) for split, found in rows.items()}
    if names is None:
        name_of = infer_class_names(label for found in labels.values() for label in found)
        names = list(dict.fromkeys(name_of.values()))
        labels = {split: [name_of[label] for label in found] for split, found in labels.items()}
    splits = {
        split: Split(found.images, label_indices(labels[split], found.places, names)) for split, found in rows.items()
    }
    return with_test_split(names, splits, test, split_seed)
