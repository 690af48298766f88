"""Columns of a table with images and labels: finding them by name, and reading an image cell."""

from collections.abc import Sequence
from typing import Any

from lptpp.data.dataset import EncodedImage, ImageReference, MissingImage
from lptpp.data.sources.locate import Locator
from lptpp.utils.errors import UserError, did_you_mean
from lptpp.utils.text import either

IMAGE_COLUMNS = ("image", "path", "file", "filename", "file_name", "filepath", "image_path")
LABEL_COLUMNS = ("label", "labels", "class", "class_name", "category")
SPLIT_COLUMNS = ("split",)
# read if none of the above exists
OTHER_IMAGE_COLUMNS = ("image_id", "id", "img", "image_name", "img_path", "file_path")
# read if the first value is the name of a split
OTHER_SPLIT_COLUMNS = ("splits", "part", "partition", "set", "subset", "fold", "phase", "data_split", "dataset_split")


def pick_column(header: Sequence[str], given: str | None, known: Sequence[str], key: str, where: str) -> str:
    """Return the column `given` by the setting `key`, or if None the only one with a name in `known`.

    `where` names the table in messages.

    Raises:
        UserError: there is no such column, or more than one.
    """
    found = [name for name in header if (name == given if given else name.lower() in known)]
    if len(found) == 1:
        return found[0]
    if given and not found:
        raise UserError(f"{where} has no column {given!r} ({key}): {did_you_mean(given, header)}")
    if given:
        raise UserError(f"{where} has {len(found)} columns named {given!r} ({key}): rename all but one.")
    if found:
        raise UserError(f"{where} has several candidates for {key} ({', '.join(found)}): set {key}=NAME.")
    raise UserError(
        f"{where} has no column named {either(known)}: set {key}=NAME; its columns are {', '.join(header) or 'none'}."
    )


def has_usual(header: Sequence[str], names: Sequence[str]) -> bool:
    """Return whether a column has one of the names, in any letter case."""
    return any(name.lower() in names for name in header)


def image_reference(value: Any, place: str, locate: Locator) -> ImageReference:
    """Return the image in a cell: a path that `locate` finds, encoded bytes, or a dictionary with one of them.

    An empty cell is a `MissingImage`. `place` names the cell in messages.

    Raises:
        UserError: the cell contains anything else.
    """
    if isinstance(value, dict):
        value = value.get("bytes") or value.get("path")
    if value is None or value != value or value == b"" or (isinstance(value, str) and not value.strip()):
        return MissingImage(place)
    if isinstance(value, bytes):
        return EncodedImage(value, place)
    if isinstance(value, str):
        return locate(value.strip(), place)
    raise UserError(f"{place} contains no image: expected a path or the bytes of an image file.")
