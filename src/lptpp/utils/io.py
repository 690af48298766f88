"""Result files that other programs read, complete or not there at all."""

import csv
import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np

from lptpp.utils.extras import extra

GROUP = 2**15  # rows of a parquet file that are written, and later read, at once
Rows = Iterable[Mapping[str, Any]]


def write_csv(path: str | Path, rows: Rows, columns: Sequence[str] = ()) -> None:
    """Write rows under a header of `columns` or else the first row's keys; None, nan and inf become empty cells."""
    remaining = iter(rows)
    first = list(islice(remaining, 1))
    columns = columns or [key for row in first for key in row]
    with replacing(path) as file:
        if columns:
            writer = csv.DictWriter(file, columns, lineterminator="\n")
            writer.writeheader()
            writer.writerows(plain(row) for row in chain(first, remaining))


def write_json_lines(path: str | Path, rows: Rows) -> None:
    """Write each row as one line of JSON; nan and inf become null, NumPy values plain ones."""
    with replacing(path) as file:
        file.writelines(json_line(row) for row in rows)


def json_line(row: Mapping[str, Any]) -> str:
    """Return a row as one line of JSON."""
    return json.dumps(plain(row), ensure_ascii=False, allow_nan=False) + "\n"


def write_parquet(path: str | Path, rows: Rows, schema: Any) -> None:
    """Write rows as a parquet file of a pyarrow schema, a row group for each `GROUP` of them.

    Raises `UserError` where pyarrow is not installed.
    """
    pyarrow = extra("pyarrow", "parquet", f"{path}: writing parquet")
    parquet = extra("pyarrow.parquet", "parquet", f"{path}: writing parquet")
    remaining = iter(rows)
    with replacing(path, "wb") as file, parquet.ParquetWriter(file, schema) as writer:
        while group := list(islice(remaining, GROUP)):
            writer.write_table(pyarrow.Table.from_pylist(group, schema))


def write_json(path: str | Path, content: object) -> None:
    """Write content as indented JSON; nan and inf become null, NumPy values plain ones."""
    with replacing(path) as file:
        json.dump(plain(content), file, indent=2, ensure_ascii=False, allow_nan=False)
        file.write("\n")


@contextmanager
def replacing(path: str | Path, mode: str = "w") -> Iterator[Any]:
    """Open a neighbor of `path`, text or `mode` wb, and rename it once complete; an error leaves `path` as it was."""
    path = Path(path)
    neighbor = path.with_name(f".{path.name}.{os.getpid()}.partial")
    text = {} if "b" in mode else {"encoding": "utf-8", "newline": ""}
    try:
        with neighbor.open(mode, **text) as file:  # type: ignore[call-overload]
            yield file
            file.flush()
            os.fsync(file.fileno())  # on the disk before it takes the place of what was there
        neighbor.replace(path)
    finally:
        neighbor.unlink(missing_ok=True)


def plain(value: Any) -> Any:
    """Return the value in what JSON knows: dicts, lists, text, finite numbers, None."""
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
