"""What the paths given to `lptpp predict` stand for: files, folders, globs, lists, tables and standard input.

What is named on the command line must be there. What a list, a table or standard input names need not: it gets a
row with the reason, as an unreadable file does. Names may be relative to the working folder, or to the list's own.
"""

import codecs
import glob
import hashlib
import json
import os
import sys
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from lptpp.data.sources.columns import IMAGE_COLUMNS, pick
from lptpp.data.sources.files import natural
from lptpp.data.sources.folder import SUFFIXES, images_below
from lptpp.data.sources.table_reader import open_table
from lptpp.utils.errors import UserError
from lptpp.utils.progress import progress_bar

LISTS = (".txt",)
TABLES = (".csv", ".tsv", ".parquet", ".pq")
STANDARD_INPUT = "-"


class Input(NamedTuple):
    """One picture to predict: what it is called in its row, and where the file is."""

    name: str
    path: str


def expand(paths: Iterable[Path], column: str | None = None) -> Iterator[Input]:
    """Yield the pictures that the paths stand for, in their order; `column` holds the paths of a table's pictures;
    without one it is found by its usual names.

    Raises `UserError` for a path that leads to nothing, a folder or a glob without a picture, a broken list or table.
    """
    for path in paths:
        if str(path) == STANDARD_INPUT:
            yield from _lines(sys.stdin.buffer, "standard input", Path())
        elif path.is_dir():
            yield from map(_file, _in_folder(path))
        elif not path.exists():
            yield from map(_file, _matching(path))
        elif path.suffix.lower() in LISTS:
            with path.open("rb") as file:
                yield from _lines(file, str(path), path.parent)
        elif path.suffix.lower() in TABLES:
            yield from _column(path, column)
        else:
            yield _file(path)


def _file(path: Path | str) -> Input:
    return Input(str(path), str(path))


def _in_folder(folder: Path) -> list[Path]:
    images = images_below(folder)
    if not images:
        raise UserError(f"{folder} holds no image: expected files ending in {', '.join(sorted(SUFFIXES)[:8])}, ….")
    return images


def _matching(pattern: Path) -> list[str]:
    """Return the files that a glob matches, whatever their names end in; ** stands for folders of any depth."""
    found = glob.iglob(str(pattern), recursive=True)  # noqa: PTH207 (pathlib globs below a folder only)
    files = sorted((name for name in found if not Path(name).is_dir()), key=natural)
    if not files and glob.has_magic(str(pattern)):
        raise UserError(f"{pattern} matches no file: correct the pattern.")
    if not files:
        raise UserError(f"{pattern} does not exist: give images, folders, globs, .txt lists, .csv or .parquet tables.")
    return files


def _lines(file: BinaryIO, message: str, folder: Path) -> Iterator[Input]:
    """Yield the path that each line holds; blank lines are passed over."""
    for number, line in enumerate(file):
        if number == 0 and line.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            raise UserError(f"{message} is UTF-16 text: save it as UTF-8.")
        name = os.fsdecode(line.removeprefix(codecs.BOM_UTF8) if number == 0 else line).rstrip("\r\n")
        if name.strip():
            yield Input(name, _located(name, folder))


def _column(path: Path, column: str | None) -> Iterator[Input]:
    """Yield the path that each row of a table holds; one without a path has an empty name."""
    table = open_table(path)
    chosen = pick(table.header, column, IMAGE_COLUMNS, "--column", str(path))
    for place, (name,) in table.rows([chosen]):
        if not isinstance(name, str | None):
            raise UserError(f"{place}: {chosen} holds {type(name).__name__}, expected the paths of pictures as text.")
        yield Input(name or "", _located(name or "", path.parent))


def _located(name: str, folder: Path) -> str:
    """Return the name as it stands, or in the list's folder where it only exists there."""
    beside = str(folder / name)
    return beside if name and file_state(name) is None and file_state(beside) is not None else name


def file_state(path: str) -> os.stat_result | None:
    """Return what the system tells of a file, None where it finds none, or where no file can be called so."""
    try:
        return Path(path).stat()
    except (OSError, ValueError):
        return None


def write_listing(path: Path, inputs: Iterable[Input]) -> dict[str, Any]:
    """Write one JSON line for each input; return their number and a sha256 over names, sizes and times of change."""
    digest, count = hashlib.sha256(), 0
    with path.open("w", encoding="utf-8") as file, progress_bar("Listing the pictures", None) as bar:
        for one in inputs:
            line = json.dumps([*one, *_state(one.path)]) + "\n"
            digest.update(line.encode())
            file.write(line)
            count += 1
            bar.advance()
    return {"count": count, "sha256": digest.hexdigest()}


def read_listing(path: Path, start: int) -> Iterator[Input]:
    """Yield the inputs from number `start` on."""
    with path.open(encoding="utf-8") as file:
        for line in islice(file, start, None):
            name, where, *_ = json.loads(line)
            yield Input(name, where)


def _state(path: str) -> tuple[int | None, int | None]:
    """Return the size and the time of change of a file, which differ when its content does; None for no file."""
    found = file_state(path)
    return (None, None) if found is None else (found.st_size, found.st_mtime_ns)
