"""The images that the paths given to `lptpp predict` stand for: files, folders, globs, lists, tables, standard input.

Paths on the command line must exist. Paths in a list, in a table or on standard input need not: a missing file gets a
row with the reason, like any unreadable image. They are relative to the working folder, or else to the list's folder.
"""

import codecs
import glob
import hashlib
import json
import logging
import os
import sys
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from lptpp.data.files import Files
from lptpp.data.sources.columns import IMAGE_COLUMNS, pick_column
from lptpp.data.sources.table_reader import open_table
from lptpp.data.sources.walk import SUFFIXES, counted, walk
from lptpp.utils.disk import atomic_write
from lptpp.utils.errors import UserError
from lptpp.utils.paths import natural_key, refuse_no_input, refuse_special, special_kind
from lptpp.utils.progress import progress_bar
from lptpp.utils.spreadsheet import exact
from lptpp.utils.text import printable

log = logging.getLogger("lptpp")
LISTS = (".txt",)
TABLES = (".csv", ".tsv", ".parquet", ".pq")
STANDARD_INPUT = "-"


class Input(NamedTuple):
    """One image to predict: its name in the output, and the path of the file."""

    name: str
    path: str


def expand(paths: Iterable[Path], column: str | None = None) -> Iterator[Input]:
    """Yield the images that the paths stand for, in order.

    `column` names the column of paths in tables; by default it is the one with a usual name, such as image or path.

    Raises:
        UserError: a path does not exist or is a FIFO or a device, a folder or a glob contains no image, a list or a
            table is invalid.
    """
    for path in paths:
        if str(path) == STANDARD_INPUT:
            yield from _lines(sys.stdin.buffer, "standard input", Path())
        elif path.is_dir():
            yield from map(_file, _in_folder(path))
        elif not path.exists():
            yield from map(_file, _matching(path))
        elif special_kind(path):
            refuse_special(path)
        elif path.suffix.lower() in LISTS:
            with path.open("rb") as file:
                yield from _lines(file, str(path), path.parent)
        elif path.suffix.lower() in TABLES:
            yield from _column(path, column)
        else:
            yield _file(path)


def are_single_images(paths: Iterable[Path]) -> bool:
    """Return whether every path is a file that stands for itself: no folder, glob, list, table or standard input."""
    return all(path.is_file() and path.suffix.lower() not in (*LISTS, *TABLES) for path in paths)


def _file(path: Path | str) -> Input:
    return Input(str(path), str(path))


def _in_folder(folder: Path) -> Files:
    images, passed = walk(folder)
    if passed:
        log.info("Files passed over in %s: %s", folder, printable(counted(passed)))
    if not images:
        raise UserError(f"{folder} contains no image: expected files ending in {', '.join(sorted(SUFFIXES)[:8])}, ….")
    return images


def _matching(pattern: Path) -> list[str]:
    """Return the files that a glob matches, with any suffix; ** matches folders at any depth."""
    found = glob.iglob(str(pattern), recursive=True)  # noqa: PTH207 (pathlib globs below a folder only)
    files = sorted((name for name in found if not Path(name).is_dir()), key=natural_key)
    if not files and glob.has_magic(str(pattern)):
        raise UserError(f"{pattern} matches no file: check the pattern.")
    if not files:
        refuse_no_input(pattern)
    return files


def _lines(file: BinaryIO, source: str, folder: Path) -> Iterator[Input]:
    """Yield the path on each line; blank lines are skipped."""
    for number, line in enumerate(file):
        if number == 0 and line.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            raise UserError(f"{source} is encoded as UTF-16: save it as UTF-8.")
        name = os.fsdecode(line.removeprefix(codecs.BOM_UTF8) if number == 0 else line).rstrip("\r\n")
        if name.strip():
            yield Input(name, _located(name, folder))


def _column(path: Path, column: str | None) -> Iterator[Input]:
    """Yield the path in each row of a table; a row without a path has an empty name."""
    table = open_table(path)
    chosen = pick_column(table.header, column, IMAGE_COLUMNS, "--column", str(path))
    for place, (name,) in table.rows([chosen]):
        if not isinstance(name, str | None):
            raise UserError(f"{place}: column {chosen} contains {type(name).__name__}, expected paths as text.")
        yield Input(name or "", _located(name or "", path.parent))


def _located(name: str, folder: Path) -> str:
    """Return the path of an existing file: relative to the working folder, or else to the list's folder.

    Backslashes that Windows wrote become slashes, and an apostrophe that `lptpp.utils.spreadsheet` wrote is dropped, if
    only then the file exists.
    """
    names = [name, name.replace("\\", "/"), exact(name)] if name else []
    paths = [path for one in names for path in (one, str(folder / one))]
    return next((path for path in paths if file_state(path) is not None), name)


def file_state(path: str) -> os.stat_result | None:
    """Return the status of a file; None if it does not exist or no file can have this name."""
    try:
        return Path(path).stat()
    except (OSError, ValueError):
        return None


def write_listing(path: Path, inputs: Iterable[Input]) -> dict[str, Any]:
    """Write one JSON line for each input; return their number and a sha256 over names, sizes and modification times."""
    digest, count = hashlib.sha256(), 0
    with atomic_write(path) as file, progress_bar("Listing images", None) as bar:
        for one in inputs:
            line = json.dumps([*one, *_state(one.path)]) + "\n"
            digest.update(line.encode())
            file.write(line)
            count += 1
            bar.advance()
    return {"count": count, "sha256": digest.hexdigest()}


def read_listing(path: Path, start: int) -> Iterator[Input]:
    """Yield the inputs, starting at number `start`."""
    with path.open(encoding="utf-8") as file:
        for line in islice(file, start, None):
            name, where, *_ = json.loads(line)
            yield Input(name, where)


def _state(path: str) -> tuple[int | None, int | None]:
    """Return the size and the modification time of a file; None for a missing file."""
    found = file_state(path)
    return (None, None) if found is None else (found.st_size, found.st_mtime_ns)
