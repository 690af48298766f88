"""Pictures and labels as a table, shards or a hub give them, on their way to a data set."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lptpp.data.dataset import Collection, Encoded, ImageReference, Split
from lptpp.data.sources.labels import clean, found_names, numbered
from lptpp.data.split import PARTS, draw_part
from lptpp.utils.errors import UserError, did_you_mean

IMAGE_COLUMNS = ("image", "path", "file", "filename", "file_name", "filepath", "image_path")
LABEL_COLUMNS = ("label", "labels", "class", "class_name", "category")
SPLIT_COLUMNS = ("split",)


def pick(header: Sequence[str], given: str | None, known: Sequence[str], key: str, where: str) -> str:
    """Return the column that the setting `key` names, or where it names none the one with a usual name.

    Raises:
        UserError: there is none, or more than one.
    """
    found = [name for name in header if (name == given if given else name.lower() in known)]
    if len(found) == 1:
        return found[0]
    if given and not found:
        raise UserError(f"{where} has no column {given!r} ({key}): {did_you_mean(given, header)}")
    if given:
        raise UserError(f"{where} has {len(found)} columns {given!r} ({key}): rename all but one.")
    if found:
        raise UserError(f"{where}: {key} may be any of the columns {', '.join(found)}: give it, as {key}=NAME.")
    raise UserError(
        f"{where} has none of the columns {', '.join(known)}: give {key}=NAME; there are {', '.join(header) or 'none'}."
    )


@dataclass(frozen=True)
class Nothing:
    """The picture of an empty cell, which cannot be read; `name` says where it stands."""

    name: str

    def read_bytes(self) -> bytes:
        """Raise ValueError."""
        raise ValueError("the row names no picture")

    def __str__(self) -> str:
        return self.name


def reference(value: Any, place: str, folder: Path) -> ImageReference:
    """Return the picture that a cell holds: a path below `folder`, bytes, or a dictionary with one of them.

    One that holds none of them cannot be read.

    Raises:
        UserError: it holds something else.
    """
    if isinstance(value, dict):
        value = value.get("bytes") or value.get("path")
    if value is None or value != value or value == b"" or (isinstance(value, str) and not value.strip()):
        return Nothing(place)
    if isinstance(value, bytes):
        return Encoded(value, place)
    if isinstance(value, str):
        return folder / Path(value.strip()).expanduser()
    raise UserError(f"{place} holds no picture, expected a path or the bytes of an image file: correct it.")


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
