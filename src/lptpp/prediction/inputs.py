"""The images that the paths given to `lptpp predict` stand for: files, folders, globs, lists, tables, standard input.

Paths on the command line must exist. Paths in a list, in a table or on standard input need not: a missing file gets a
row with the reason, like any unreadable image. They are relative to the working folder, or else to the list's folder.
"""

import codecs
import glob
import logging
import os
import sys
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import BinaryIO, NamedTuple

from lptpp.data.sources.columns import IMAGE_COLUMNS, pick_column
from lptpp.data.sources.passed import PassedOver
from lptpp.data.sources.table_reader import open_table
from lptpp.data.sources.walk import SUFFIXES, scan
from lptpp.utils.errors import UserError
from lptpp.utils.natural import sorted_stream
from lptpp.utils.paths import LISTS, natural_key, refuse_binary, refuse_no_input, refuse_special, special_kind
from lptpp.utils.spreadsheet import exact

log = logging.getLogger("lptpp")
TABLES = (".csv", ".tsv", ".parquet", ".pq")
STANDARD_INPUT = "-"


class Input(NamedTuple):
    """One image to predict: its name in the output, and the path of the file."""

    name: str
    path: str


def expand(paths: Iterable[Path], column: str | None = None, scratch: Path | None = None) -> Iterator[Input]:
    """Yield the images that the paths stand for, in order; memory does not grow with their number.

    `column` names the column of paths in tables; by default it is the one with a usual name, such as image or path.
    `scratch` is the folder for what is sorted on disk (`sorted_stream`).

    Raises:
        UserError: a path does not exist or is a FIFO or a device, a folder or a glob contains no image, a list or a
            table is invalid.
    """
    for path in paths:
        if str(path) == STANDARD_INPUT:
            yield from _lines(sys.stdin.buffer, "standard input", Path())
        elif path.is_dir():
            yield from map(_file, _in_folder(path, scratch))
        elif not path.exists():
            yield from map(_file, _matching(path, scratch))
        elif special_kind(path):
            refuse_special(path)
        elif path.suffix.lower() in LISTS:
            refuse_binary(path)
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


def _in_folder(folder: Path, scratch: Path | None) -> Iterator[str]:
    """Yield the paths of the images at any depth below a folder, in natural order."""
    passed = PassedOver()

    def names() -> Iterator[str]:
        for own, images, notes in scan(folder):
            inner = own[len(start) :]
            yield from (inner + name for name in images)
            passed.add(notes)

    start = os.path.join(folder, "")  # noqa: PTH118 (a separator at the end)
    found = sorted_stream(names(), folder=scratch)
    first = next(found, None)
    if passed.first:
        log.info("Ignored files in %s: %s", folder, passed.within(str(folder)))
    if first is None:
        raise UserError(f"{folder} contains no image: expected files ending in {', '.join(sorted(SUFFIXES)[:8])}, ….")
    yield from (start + name for name in chain([first], found))


def _matching(pattern: Path, scratch: Path | None) -> Iterator[str]:
    """Return the files that a glob matches, with any suffix; ** matches folders at any depth."""
    found = glob.iglob(str(pattern), recursive=True)  # noqa: PTH207 (pathlib globs below a folder only)
    files = sorted_stream((name for name in found if not Path(name).is_dir()), natural_key, scratch)
    first = next(files, None)
    if first is not None:
        return chain([first], files)
    if glob.has_magic(str(pattern)):
        raise UserError(f"{pattern} matches no file: check the pattern.")
    refuse_no_input(pattern)
    return iter(())


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

    Backslashes that Windows wrote become slashes, and quotes and spaces at its ends or an apostrophe that
    `lptpp.utils.spreadsheet` wrote are dropped, if only then the file exists.
    """
    plain = name.strip().strip('"')  # as Windows copies a path
    given = [name, name.replace("\\", "/"), plain, plain.replace("\\", "/"), exact(name)]
    names = dict.fromkeys(given) if plain else []
    paths = [path for one in names for path in (one, str(folder / one))]
    return next((path for path in paths if file_state(path) is not None), name)


def file_state(path: str) -> os.stat_result | None:
    """Return the status of a file; None if it does not exist or no file can have this name."""
    try:
        return Path(path).stat()
    except (OSError, ValueError):
        return None
