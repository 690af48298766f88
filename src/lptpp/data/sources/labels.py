"""Class names, and labels as people write them: names, whole numbers, numbers that became 3.0 on the way."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np

from lptpp.data.sources.files import natural, read_text
from lptpp.utils.errors import UserError, did_you_mean

WHOLE = re.compile(r"(-?\d+)(\.0*)?")


def read_names(file: Path) -> list[str]:
    """Return the class names of a text file, one a line, label 0 first.

    Raises:
        UserError: no such file, an empty line, a name given twice.
    """
    text = read_text(file, "the class names, one a line").rstrip()
    names = [name.strip() for name in text.split("\n")]
    first: dict[str, int] = {}
    for number, name in enumerate(names, 1):
        if not name:
            raise UserError(f"{file} line {number} is empty, expected the name of class {number - 1}: fill it in.")
        if name in first:
            raise UserError(f"{file} lines {first[name]} and {number} both say {name!r}: class names must differ.")
        first[name] = number
    return names


def clean(value: Any, place: str) -> int | str:
    """Return a label as a whole number or as text; `place` says where it stands.

    Raises:
        UserError: nothing there (None, nan, empty text), a fraction, or several labels.
    """
    if isinstance(value, bytes):
        value = value.decode("utf-8", errors="replace")
    if isinstance(value, str):
        value = unicodedata.normalize("NFC", " ".join(value.split()))
    if value is None or value == "" or value != value:
        raise UserError(f"{place} has no label: give it one, or take it out.")
    if isinstance(value, bool | str):
        return str(value)
    if isinstance(value, int | float | Decimal) and value % 1 == 0:
        return int(value)
    raise UserError(f"{place} has the label {value!r}, expected one whole number or one name: choose another column.")


def named(labels: Sequence[Any], names: Sequence[str]) -> list[Any]:
    """Return the names that numbers stand for, as Hugging Face's ClassLabel has it; None where the number is none."""
    return [names[label] if label is not None and 0 <= label < len(names) else None for label in labels]


def numbered(labels: Sequence[int | str], places: Sequence[str], names: list[str]) -> np.ndarray:
    """Return labels (N,) int64 for class names that are given.

    Text that is a name stands for its class if every text is one, and else is read as a number; numbers count
    the names from 0.

    Raises:
        UserError: a label that is neither; it names the first such place.
    """
    index = {name: label for label, name in enumerate(names)}
    by_name = all(label in index for label in labels if isinstance(label, str))
    found = [index[label] if by_name and isinstance(label, str) else _number(label) for label in labels]
    for label, number, place in zip(labels, found, places, strict=True):
        if number is None or not 0 <= number < len(names):
            raise UserError(
                f"{place} has the label {label!r}, expected one of the {len(names)} class names or a number from 0"
                f" to {len(names) - 1}: {did_you_mean(str(label), names)}"
            )
    return np.array(found, np.int64)


def found_names(labels: Iterable[int | str]) -> dict[int | str, str]:
    """Return the class name of every label where no names are given: the label itself, in natural order.

    Where all labels are whole numbers, 3, "3" and "3.0" are the same class.

    Raises:
        UserError: two names that differ only in letter case.
    """
    distinct = set(labels)
    numbers = all(_number(label) is not None for label in distinct)
    names = {label: str(label).split(".")[0] if numbers else str(label) for label in distinct}
    pair = twins(sorted(set(names.values()), key=natural))
    if pair is not None:
        raise UserError(
            f"The labels {pair[0]!r} and {pair[1]!r} differ only in letter case: write them alike, or give the names"
            " in data.class_names if they are two classes."
        )
    return dict(sorted(names.items(), key=lambda item: natural(item[1])))


def twins(names: Iterable[str]) -> tuple[str, str] | None:
    """Return two names that differ only in letter case or Unicode form: some file systems take them for one."""
    seen: dict[str, str] = {}
    for name in names:
        folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
        if folded in seen:
            return seen[folded], name
        seen[folded] = name
    return None


def _number(label: int | str) -> int | None:
    if isinstance(label, int):
        return label
    whole = WHOLE.fullmatch(label)
    return None if whole is None else int(whole[1])
