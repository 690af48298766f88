"""Class names and labels as written in data sets: names, integers, or integers stored as 3.0."""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np

from lptpp.data.sources.files import read_text
from lptpp.utils.errors import UserError, close_names
from lptpp.utils.paths import natural_key
from lptpp.utils.text import counted, listed

WHOLE = re.compile(r"(-?\d+)(\.0*)?")


def read_names(file: Path) -> list[str]:
    """Return the class names in a text file, one per line, label 0 first.

    Raises:
        UserError: the file does not exist, a line is empty, or a name occurs twice.
    """
    text = read_text(file, "the class names, one per line").rstrip()
    names = [name.strip() for name in text.split("\n")]
    first: dict[str, int] = {}
    for number, name in enumerate(names, 1):
        if not name:
            raise UserError(f"{file} line {number} is empty: expected the name of class {number - 1}.")
        if name in first:
            raise UserError(f"{file} lines {first[name]} and {number} are both {name!r}: class names must be unique.")
        first[name] = number
    return names


def clean_label(value: Any, place: str) -> int | str:
    """Return a label as an integer or as text; `place` names its row in messages.

    Raises:
        UserError: the label is empty (None, nan, empty text), a fraction, or a container.
    """
    if isinstance(value, bytes):
        value = value.decode("utf-8", errors="replace")
    if isinstance(value, str):
        value = unicodedata.normalize("NFC", " ".join(value.split()))
    if value is None or value == "" or value != value:
        raise UserError(f"{place} has no label: add one or remove the row.")
    if isinstance(value, bool | str):
        return str(value)
    if isinstance(value, int | float | Decimal) and value % 1 == 0:
        return int(value)
    raise UserError(f"{place} has the label {value!r}: expected an integer or a name; choose another column.")


def label_names(labels: Sequence[Any], names: Sequence[str]) -> list[Any]:
    """Return the names of the integer labels of a Hugging Face ClassLabel; None for a label out of range."""
    return [names[label] if label is not None and 0 <= label < len(names) else None for label in labels]


def label_indices(labels: Sequence[int | str], places: Sequence[str], names: list[str]) -> np.ndarray:
    """Return the class indices (N,) int64 of labels, given the class names.

    Text is looked up by name, unless all labels are numbers and one of them is no class name. Numbers index `names`
    from 0.

    Raises:
        UserError: a label is neither; the message has the first such place, and all such labels.
    """
    index = {name: label for label, name in enumerate(names)}
    texts = [label for label in labels if isinstance(label, str)]
    by_name = all(label in index for label in texts) or any(_number(label) is None for label in texts)
    found = [index.get(label) if by_name and isinstance(label, str) else _number(label) for label in labels]
    unknown: dict[int | str, str] = {}  # the first place of each
    for label, number, place in zip(labels, found, places, strict=True):
        if number is None or not 0 <= number < len(names):
            unknown.setdefault(label, place)
    if unknown:
        raise UserError(_unknown(unknown, names))
    return np.array(found, np.int64)


def _unknown(places: Mapping[int | str, str], names: Sequence[str]) -> str:
    """Return a message on labels that are no class, with the first place of each."""
    (label, place), *others = places.items()
    more = f" ({counted(len(others), 'other label')} unknown too: {listed((one for one, _ in others), 5)})"
    return (
        f"{place} has the label {label!r}{more if others else ''}, expected a number from 0 to {len(names) - 1} or one"
        f" of the {len(names):,} class names: {listed(names, 5)}.{close_names(map(str, places), names)}"
    )


def infer_class_names(labels: Iterable[int | str]) -> dict[int | str, str]:
    """Return the class name of every distinct label: the label itself, in natural order.

    If all labels are integers, 3, "3" and "3.0" are the same class.

    Raises:
        UserError: two names differ only in letter case.
    """
    distinct = set(labels)
    numbers = all(_number(label) is not None for label in distinct)
    names = {label: str(label).split(".")[0] if numbers else str(label) for label in distinct}
    pair = ambiguous_pair(sorted(set(names.values()), key=natural_key))
    if pair is not None:
        raise UserError(
            f"The labels {pair[0]!r} and {pair[1]!r} differ only in letter case: use one spelling, or, if they are two"
            " classes, set data.class_names."
        )
    return dict(sorted(names.items(), key=lambda item: natural_key(item[1])))


def ambiguous_pair(names: Iterable[str]) -> tuple[str, str] | None:
    """Return two names that differ only in letter case or Unicode form, which some file systems do not distinguish."""
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
