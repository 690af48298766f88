"""The columns of a table that holds pictures and labels, and what stands in a cell of the former."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lptpp.data.dataset import Encoded, ImageReference
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
