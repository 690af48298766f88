"""Pictures and labels as a table, shards or a hub give them, on their way to a data set."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lptpp.data.dataset import Collection, ImageReference, Split
from lptpp.data.sources.labels import clean, found_names, numbered
from lptpp.data.split import PARTS, draw_part
from lptpp.utils.errors import UserError


@dataclass(frozen=True)
class Rows:
    """Pictures, their labels as they were written, and where each stands, in words."""

    images: list[ImageReference]
    labels: list[Any]
    places: list[str]

    def subset(self, indices: Sequence[int]) -> "Rows":
        """Return the rows at `indices`, in that order."""
        return Rows(
            [self.images[i] for i in indices],
            [self.labels[i] for i in indices],
            [self.places[i] for i in indices],
        )


def joined(several: Sequence[Rows]) -> Rows:
    """Return the rows of all, in order."""
    return Rows(
        [image for rows in several for image in rows.images],
        [label for rows in several for label in rows.labels],
        [place for rows in several for place in rows.places],
    )


def by_part(rows: Rows, names: Sequence[Any]) -> dict[str, Rows]:
    """Return the rows of each part by what a column says: train, val, valid, validation or test in any case.

    Raises:
        UserError: something else is said.
    """
    chosen: dict[str, list[int]] = {}
    for i, name in enumerate(names):
        chosen.setdefault(part_of(name, rows.places[i]), []).append(i)
    return {part: rows.subset(indices) for part, indices in chosen.items()}


def part_of(name: Any, place: str) -> str:
    """Return train, validation or test for what people call it; raises UserError for anything else."""
    part = PARTS.get(str(name).strip().lower())
    if part is None:
        raise UserError(f"{place} is of the part {name!r}, expected one of {', '.join(PARTS)}: rename it.")
    return part


def assembled(parts: Mapping[str, Rows], names: list[str] | None, test: float, split_seed: int) -> Collection:
    """Return the data set of these parts; without a test part the share `test` of every class becomes it.

    Labels are read by `lptpp.data.sources.labels`: against `names` where they are given, else the labels are the names.

    Raises:
        UserError: no training row, or what those functions raise.
    """
    if "train" not in parts:
        raise UserError(f"There is no training part, only {', '.join(parts) or 'nothing'}: name one part train.")
    labels = {part: list(map(clean, rows.labels, rows.places)) for part, rows in parts.items()}
    if names is None:
        name_of = found_names(label for part in labels.values() for label in part)
        names = list(dict.fromkeys(name_of.values()))
        labels = {part: [name_of[label] for label in found] for part, found in labels.items()}
    splits = {part: Split(rows.images, numbered(labels[part], rows.places, names)) for part, rows in parts.items()}
    collection = Collection(names, splits["train"], splits.get("validation"), splits.get("test"))
    return collection if "test" in splits else draw_part(collection, "test", test, split_seed)
