"""Image lists as published for ImageNet-LT and Places-LT: text files of lines `path label`."""

from pathlib import Path

import numpy as np

from lptpp.data.dataset import ImageDataset, ImageReference, Split
from lptpp.data.sources.files import read_text, refuse_all_missing
from lptpp.data.sources.labels import read_names
from lptpp.data.sources.walk import is_image
from lptpp.data.split import with_test_split
from lptpp.utils.errors import UserError
from lptpp.utils.paths import resolve_path

Line = tuple[int, Path, int]  # line number from 1, image, label


def image_list(
    root: str,
    train_list: str,
    validation_list: str | None,
    test_list: str | None,
    class_names: str | None,
    test: float,
    split_seed: int,
) -> ImageDataset:
    """Return the listed images; paths are relative to `root`, labels count from 0; the lists may be in `root`.

    `class_names` is a text file with one name per line, label 0 first; without it the names are "class 0", "class 1",
    …. Without `test_list` the share `test` of every class is the test split.

    Raises:
        UserError: a file is missing, a line is invalid, a label is out of range, or no listed image exists.
    """
    folder = Path(root).expanduser()
    given = {"train": train_list, "validation": validation_list, "test": test_list}
    files = {split: resolve_path(name, folder) for split, name in given.items() if name is not None}
    lists = {split: _read(file, folder) for split, file in files.items()}
    names = read_names(resolve_path(class_names, folder)) if class_names is not None else _numbered_names(lists)
    for split, lines in lists.items():
        _check(str(files[split]), lines, len(names))
    refuse_all_missing((f"{files[split]} line {line}", path) for split in lists for line, path, _ in lists[split])
    return with_test_split(names, {split: _split(lines) for split, lines in lists.items()}, test, split_seed)


def _read(file: Path, root: Path) -> list[Line]:
    text = read_text(file, "an image list, one `path label` per line").split("\n")
    rows = [(number, row.strip()) for number, row in enumerate(text, 1)]
    lines = [_line(file, number, row, root) for number, row in rows if row and not row.startswith("#")]
    if not lines:
        raise UserError(f"{file} lists no image: expected lines `path label`.")
    return lines


def _line(file: Path, number: int, row: str, root: Path) -> Line:
    *path, label = row.rsplit(maxsplit=1)
    if not path or not label.isdecimal():
        raise UserError(f"{file} line {number} is {row!r}: expected a path, a space and a label (0, 1, …){_hint(row)}.")
    return number, root / path[0], int(label)


def _hint(row: str) -> str:
    """Return what a line that is not `path label` looks like, with advice."""
    fields = row.split()
    if "," in row or ";" in row:
        return "; it looks like a table: add a line with the names of the columns, and set data.source=csv"
    if fields[0].isdecimal() and is_image(row):
        return "; this line has the label first"
    if is_image(fields[0]):
        return "; for labels that are names, write a table, and set data.source=csv"
    return ""


def _numbered_names(lists: dict[str, list[Line]]) -> list[str]:
    largest = max(label for lines in lists.values() for _, _, label in lines)
    return [f"class {label}" for label in range(largest + 1)]


def _check(file: str, lines: list[Line], classes: int) -> None:
    for number, _, label in lines:
        if label >= classes:
            raise UserError(
                f"{file} line {number} has label {label}, expected 0 to {classes - 1} for {classes} names: "
                "correct the label or the file data.class_names."
            )


def _split(lines: list[Line]) -> Split:
    references: list[ImageReference] = [path for _, path, _ in lines]
    return Split(references, np.array([label for _, _, label in lines], np.int64))
