"""Image lists as published for ImageNet-LT and Places-LT: text files of lines `path label`."""

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lptpp.data.dataset import ImageDataset, Split
from lptpp.data.files import Files, concatenated
from lptpp.data.sources.files import read_text, refuse_all_missing
from lptpp.data.sources.labels import read_names
from lptpp.data.sources.plain_lines import plain_lines
from lptpp.data.sources.walk import is_image
from lptpp.data.split import with_test_split
from lptpp.utils.errors import UserError
from lptpp.utils.paths import resolve_path
from lptpp.utils.progress import progress_bar

BLOCK = 2**25  # characters that are split into lines at once
IRREGULAR = ("//", "./", "/\n", "/.\n")  # in paths that pathlib would write in another way, each followed by \n


class Lines(NamedTuple):
    """The n images of a list: line numbers from 1, paths, labels."""

    numbers: np.ndarray  # (n,) int64
    images: Files
    labels: np.ndarray  # (n,) int64


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
    refuse_all_missing(
        (f"{files[split]} line {line}", path)
        for split, lines in lists.items()
        for line, path in zip(lines.numbers, lines.images, strict=True)
    )
    splits = {split: Split(lines.images, lines.labels) for split, lines in lists.items()}
    return with_test_split(names, splits, test, split_seed)


def _read(file: Path, root: Path) -> Lines:
    """Return the images of a list; a list that did not change is read once, though a start needs it twice."""
    found = file.stat() if file.is_file() else None
    return _read_at(file, root, None if found is None else (found.st_size, found.st_mtime_ns))


@lru_cache(maxsize=3)
def _read_at(file: Path, root: Path, stamp: tuple[int, int] | None) -> Lines:
    text = read_text(file, "an image list, one `path label` per line")
    numbers, paths, labels = [], [], []
    first = 1
    for block in _blocks(text):
        found = _of_plain_lines(block, first) or _of_lines(block, first, file)
        if found is not None:
            numbers.append(found.numbers)
            paths.append(found.images)
            labels.append(found.labels)
        first += block.count("\n") + 1
    if not paths:
        raise UserError(f"{file} lists no image: expected lines `path label`.")
    return Lines(np.concatenate(numbers), _below(root, concatenated(paths)), np.concatenate(labels))


def _blocks(text: str) -> Iterator[str]:
    """Yield whole lines of a text, about `BLOCK` characters at a time, without the last line break of each."""
    start = 0
    with progress_bar("Reading the list", len(text)) as bar:
        while start <= len(text):
            end = text.find("\n", start + BLOCK)
            end = len(text) if end < 0 else end
            yield text[start:end]
            bar.advance(end - start)
            start = end + 1


def _of_plain_lines(block: str, first: int) -> Lines | None:
    """Return the images of lines that are all plain, as `_of_lines`; None for others."""
    found = plain_lines(block)
    if found is None:
        return None
    return Lines(np.arange(first, first + len(found.labels)), Files.encoded("", *found[:2]), found.labels)


def _of_lines(block: str, first: int, file: Path) -> Lines | None:
    """Return the images of lines, of which the first has the number `first`; None without any."""
    rows = [row.strip() for row in block.split("\n")]
    given = [place for place, row in enumerate(rows) if row and row[0] != "#"]
    if not given:
        return None
    numbers = np.array(given) + first
    paths, labels = _of_rows([rows[place] for place in given], numbers, file)
    return Lines(numbers, Files.in_folder("", paths, ""), labels)


def _of_rows(rows: list[str], numbers: np.ndarray, file: Path) -> tuple[list[str], np.ndarray]:
    """Return the paths, as pathlib writes them, and the labels of rows."""
    pairs = [row.rsplit(maxsplit=1) for row in rows]
    if any(len(pair) < 2 for pair in pairs) or not "".join([label for _, label in pairs]).isdecimal():
        wrong = next(i for i, pair in enumerate(pairs) if len(pair) < 2 or not pair[1].isdecimal())
        raise UserError(
            f"{file} line {numbers[wrong]} is {rows[wrong]!r}: expected a path, a space and a label (0, 1, …)"
            f"{_hint(rows[wrong])}."
        )
    paths = [path for path, _ in pairs]
    text = "\n".join([*paths, ""])
    if any(part in text for part in IRREGULAR):
        paths = [str(Path(path)) for path in paths]
    return paths, np.fromiter((int(label) for _, label in pairs), np.int64, len(pairs))


def _below(root: Path, paths: Files) -> Files:
    """Return the files of paths relative to `root`, unless they are absolute."""
    if _any_absolute(paths):
        return Files.of(root / path for path in paths)
    return Files(str(root / "_").removesuffix("_"), paths.text, paths.ends)


def _any_absolute(paths: Files) -> bool:
    starts, _ = paths.bounds()  # no path is empty
    return bool((np.frombuffer(paths.text, np.uint8)[starts] == ord("/")).any())


def _hint(row: str) -> str:
    """Return what a line that is not `path label` looks like, with advice."""
    fields = row.split()
    if "," in row or ";" in row:
        return "; it looks like a table: add a line with the names of the columns, and set data.source=csv"
    if fields[0].isdecimal() and is_image(row):
        return "; this line has the label first"
    if fields[-1].removesuffix(".0").isdecimal():
        return "; labels are whole numbers, without a decimal point"
    if is_image(fields[0]):
        return "; for labels that are names, write a table, and set data.source=csv"
    return ""


def _numbered_names(lists: dict[str, Lines]) -> list[str]:
    largest = max(int(lines.labels.max()) for lines in lists.values())
    return [f"class {label}" for label in range(largest + 1)]


def _check(file: str, lines: Lines, classes: int) -> None:
    wrong = np.flatnonzero(lines.labels >= classes)
    if len(wrong):
        raise UserError(
            f"{file} line {lines.numbers[wrong[0]]} has label {lines.labels[wrong[0]]}, expected 0 to {classes - 1} for"
            f" {classes} names: labels count from 0; correct the label or the file data.class_names."
        )
