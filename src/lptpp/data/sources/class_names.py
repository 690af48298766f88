"""Names for the classes of any source: a file with one name per line, or a table of two columns, label and name."""

import csv
import logging
import unicodedata
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from lptpp.data.dataset import ImageDataset
from lptpp.data.sources.files import read_text
from lptpp.data.sources.labels import read_names
from lptpp.data.sources.table_reader import delimiter_of
from lptpp.utils.errors import UserError, close_names
from lptpp.utils.paths import resolve_path
from lptpp.utils.text import listed

log = logging.getLogger("lptpp")
TABLES = (".csv", ".tsv")


def names_file(name: str | None, root: str | None) -> Path | None:
    """Return the path of the file `data.class_names`, which may be in `root`."""
    return None if name is None else resolve_path(name, Path(root or ".").expanduser())


def read_mapping(file: Path) -> dict[str, str] | None:
    """Return the names by label, both as text, of a table of two columns; None for any other file.

    A header needs no care: it is one more label that no class has.

    Raises:
        UserError: a row has more than two columns, an empty cell, or a label that has another name.
    """
    if file.suffix.lower() not in TABLES:
        return None
    lines = read_text(file, "a table of labels and class names").splitlines()
    rows = list(csv.reader(lines, delimiter=delimiter_of(lines[0] if lines else "")))
    if all(len(row) < 2 for row in rows):
        return None
    mapping: dict[str, str] = {}
    for number, row in enumerate(rows, 1):
        cells = [unicodedata.normalize("NFC", cell.strip()) for cell in row]
        if not any(cells):
            continue
        if len(cells) != 2 or not all(cells):
            raise UserError(f"{file} line {number} is {','.join(row)!r}: expected two columns, a label and its name.")
        label, name = cells
        if mapping.setdefault(label, name) != name:
            raise UserError(f"{file} line {number} names {label} {name!r}, and an earlier line {mapping[label]!r}.")
    return mapping


def rename(dataset: ImageDataset, file: Path, mapping: Mapping[str, str] | None) -> ImageDataset:
    """Return the data set with the names in `mapping`, or else in the lines of `file`, in the order of the classes.

    The labels in `mapping` are the names that the classes have, or numbers from 0. It may have more labels.

    Raises:
        UserError: a class has no name, or two have the same.
    """
    names = read_names(file) if mapping is None else _mapped(dataset.class_names, mapping, file)
    if len(names) != len(dataset.class_names):
        raise UserError(
            f"{file} (data.class_names) has {len(names)} names, expected {len(dataset.class_names)}, one for each of"
            f" {listed(dataset.class_names, 3)} in this order; or write a .csv file with the columns label and name."
        )
    pairs = [f"{old} is {new}" for old, new in zip(dataset.class_names, names, strict=True)]
    log.info("Class names of %s: %s", file, listed(pairs, 3))
    return replace(dataset, class_names=names)


def _mapped(labels: list[str], mapping: Mapping[str, str], file: Path) -> list[str]:
    numbers = [str(label) for label in range(len(labels))]
    missing = [label for label in labels if label not in mapping]
    keys = numbers if missing and all(number in mapping for number in numbers) else labels
    if missing and keys is labels:
        raise UserError(
            f"{file} (data.class_names) has no name for {listed(missing, 3)}; it names {listed(mapping, 5)}."
            f"{close_names(missing, mapping)}"
        )
    names = [mapping[key] for key in keys]
    first: dict[str, str] = {}
    for key, name in zip(keys, names, strict=True):
        if first.setdefault(name, key) != key:
            raise UserError(f"{file} names both {first[name]} and {key} {name!r}: class names must be unique.")
    return names
