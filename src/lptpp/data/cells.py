"""The columns of a table that holds pictures and labels, and what stands in a cell of the former."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lptpp.data.collection import Encoded, ImageReference
from lptpp.errors import UserError, did_you_mean

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
    there = f"any of the columns {', '.join(found)}" if found else f"one of the columns {', '.join(header) or '(none)'}"
    raise UserError(f"{where}: {key} may be {there}: give it, as {key}=NAME.")


def reference(value: Any, place: str, folder: Path) -> ImageReference:
    """Return the picture that a cell holds: a path below `folder`, bytes, or a dictionary with one of them.

    Raises:
        UserError: it holds nothing of the kind.
    """
    if isinstance(value, dict):
        value = value.get("bytes") or value.get("path")
    if isinstance(value, bytes) and value:
        return Encoded(value, place)
    if isinstance(value, str) and value.strip():
        return folder / Path(value.strip()).expanduser()
    raise UserError(f"{place} holds no picture, expected a path or the bytes of an image file: mend or remove it.")
