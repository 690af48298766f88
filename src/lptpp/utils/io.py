"""Result files (CSV, JSON, parquet), each written completely or not at all, and file locks."""

import csv
import json
import math
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from lptpp.utils.errors import UserError
from lptpp.utils.extras import extra

GROUP = 2**15  # rows per row group of a parquet file
Rows = Iterable[Mapping[str, Any]]


def write_csv(path: str | Path, rows: Rows, columns: Sequence[str] = ()) -> None:
    """Write rows with the header `columns`, default the keys of the first row; None, nan and inf become empty cells."""
    remaining = iter(rows)
    first = list(islice(remaining, 1))
    columns = columns or [key for row in first for key in row]
    with atomic_write(path) as file:
        if columns:
            writer = csv.DictWriter(file, columns, lineterminator="\n")
            writer.writeheader()
            writer.writerows(plain(row) for row in chain(first, remaining))


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


def remove_partials(folder: Path) -> None:
    """Remove what `atomic_write` left in a folder in processes that were killed: those that no longer exist."""
    for path in folder.glob(".*.partial"):
        owner = re.fullmatch(r"\..+\.(\d+)\.partial", path.name)
        if owner is not None and not _runs(int(owner[1])):
            path.unlink(missing_ok=True)


def _runs(process: int) -> bool:
    """Return whether another process with this number exists."""
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return process != os.getpid()


@contextmanager
def atomic_write(path: str | Path, mode: str = "w") -> Iterator[Any]:
    """Open a temporary file (mode w or wb) that replaces `path` on success; after an error `path` is unchanged."""
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    text = {} if "b" in mode else {"encoding": "utf-8", "newline": ""}
    try:
        with temporary.open(mode, **text) as file:  # type: ignore[call-overload]
            yield file
            file.flush()
            os.fsync(file.fileno())  # on disk before it replaces the old file
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def locked(path: str | Path, message: str) -> Iterator[None]:
    """Hold the lock file `path`; raises `UserError` with `message` if another process holds it."""
    lock = FileLock(path)
    try:
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
