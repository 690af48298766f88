"""Result files (CSV, JSON, parquet), each written completely or not at all (`lptpp.utils.disk`), and file locks."""

import csv
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from lptpp.utils.disk import atomic_write, writing
from lptpp.utils.errors import UserError
from lptpp.utils.extras import extra
from lptpp.utils.spreadsheet import escaped, exact

GROUP = 2**15  # rows per row group of a parquet file
Rows = Iterable[Mapping[str, Any]]


def write_csv(path: str | Path, rows: Rows, columns: Sequence[str] = (), formulas: bool = False) -> None:
    """Write rows with the header `columns`, default the keys of the first row; None, nan and inf become empty cells.

    Texts that a spreadsheet would take for formulas are escaped (`lptpp.utils.spreadsheet`), unless `formulas` is True.
    """
    remaining = iter(rows)
    first = list(islice(remaining, 1))
    columns = columns or [key for row in first for key in row]
    with atomic_write(path) as file:
        if columns:
            writer = csv.DictWriter(_Lines(file), columns)
            names, cells = (list, dict) if formulas else (_escaped, _escaped_values)
            writer.writer.writerow(names(columns))
            writer.writerows(cells(plain(row)) for row in chain(first, remaining))


def _escaped(names: Iterable[str]) -> list[str]:
    return [escaped(name) for name in names]


def _escaped_values(row: Mapping[str, Any]) -> dict[str, Any]:
    return {key: escaped(value) for key, value in row.items()}


class _Lines:
    """A file whose lines end in a line feed, of a writer that ends them in CR LF, and so quotes cells with either."""

    def __init__(self, file: Any) -> None:
        self.file = file

    def write(self, line: str) -> None:
        """Write a line."""
        self.file.write(line.removesuffix("\r\n") + "\n")


def read_csv(path: Path, formulas: bool = False) -> list[dict[str, str]]:
    """Return the rows that `write_csv` was given, as text; `formulas` as there."""
    with path.open(encoding="utf-8", newline="") as file:
        header, *lines = [*csv.reader(file)] or [[]]
    if not formulas:
        header, lines = [*map(exact, header)], [[*map(exact, line)] for line in lines]
    return [dict(zip(header, line, strict=True)) for line in lines]


def write_json_lines(path: str | Path, rows: Rows) -> None:
    """Write each row as one line of JSON (see `plain`)."""
    with atomic_write(path) as file:
        file.writelines(json_line(row) for row in rows)


def json_line(row: Mapping[str, Any]) -> str:
    """Return a row as one line of JSON (see `plain`)."""
    return json.dumps(plain(row), ensure_ascii=False, allow_nan=False) + "\n"


def write_parquet(path: str | Path, rows: Rows, schema: Any) -> None:
    """Write rows as a parquet file with a pyarrow schema, in row groups of `GROUP`.

    Raises:
        UserError: pyarrow is not installed.
    """
    pyarrow = extra("pyarrow", "parquet", f"{path}: writing parquet")
    parquet = extra("pyarrow.parquet", "parquet", f"{path}: writing parquet")
    remaining = iter(rows)
    with atomic_write(path, "wb") as file, parquet.ParquetWriter(file, schema) as writer:
        while group := list(islice(remaining, GROUP)):
            writer.write_table(pyarrow.Table.from_pylist(group, schema))


def write_json(path: str | Path, content: object) -> None:
    """Write content as indented JSON (see `plain`)."""
    with atomic_write(path) as file:
        json.dump(plain(content), file, indent=2, ensure_ascii=False, allow_nan=False)
        file.write("\n")


def write_text(path: str | Path, text: str) -> None:
    """Write a text file in UTF-8."""
    with atomic_write(path) as file:
        file.write(text)


@contextmanager
def locked(path: str | Path, message: str) -> Iterator[None]:
    """Hold the lock file `path`; raises `UserError` with `message` if another process holds it."""
    lock = FileLock(path)
    try:
        with writing(path):
            lock.acquire(timeout=0)
    except Timeout:
        raise UserError(message) from None
    try:
        yield
    finally:
        lock.release()


def plain(value: Any) -> Any:
    """Return a value as JSON types: NumPy values become Python ones, nan and inf None."""
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
