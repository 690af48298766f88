"""The files that a prediction leaves: rows as CSV, JSON lines or parquet, features as .npy or parquet."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from lptpp.errors import UserError
from lptpp.extras import extra
from lptpp.writing import Rows, replacing, write_csv, write_json_lines, write_parquet

TABLES = (".csv", ".jsonl", ".parquet")
FEATURES = (".npy", ".parquet")
BLOCK = 4096  # rows of features written at once


def check_suffix(path: Path, known: Sequence[str]) -> None:
    """Raise `UserError` for a file of another kind, or of one that a missing library writes."""
    if path.suffix not in known:
        raise UserError(f"{path} should end in {', '.join(known[:-1])} or {known[-1]}.")
    if path.suffix == ".parquet":
        extra("pyarrow", "parquet", f"{path}: parquet")


def write_rows(path: Path, rows: Rows, names: Sequence[str]) -> None:
    """Write rows whose columns have these names."""
    if path.suffix == ".csv":
        write_csv(path, rows, names)
    elif path.suffix == ".jsonl":
        write_json_lines(path, rows)
    else:
        pyarrow = extra("pyarrow", "parquet", f"{path}: parquet")
        kinds = {name: pyarrow.float64() if name.startswith("probability_") else pyarrow.string() for name in names}
        write_parquet(path, rows, pyarrow.schema(kinds.items()))


def write_features(path: Path, images: Iterable[str], features: np.ndarray, widths: Mapping[str, int]) -> None:
    """Write features (n, ΣF), those of each expert beside each other; all nan for an unreadable image.

    A .npy file holds just this array, in float32. Parquet holds the images' names and a column of lists for each
    expert of `widths`, null for an unreadable image.
    """
    if path.suffix == ".npy":
        with replacing(path, "wb") as file:
            np.save(file, features)
    else:
        _write_feature_columns(path, iter(images), features, widths)


def _write_feature_columns(path: Path, images: Iterator[str], features: np.ndarray, widths: Mapping[str, int]) -> None:
    pyarrow = extra("pyarrow", "parquet", f"{path}: parquet")
    parquet = extra("pyarrow.parquet", "parquet", f"{path}: parquet")
    kinds = {name: pyarrow.list_(pyarrow.float32(), width) for name, width in widths.items()}
    schema = pyarrow.schema([("image", pyarrow.string()), *kinds.items()])
    with replacing(path, "wb") as file, parquet.ParquetWriter(file, schema) as writer:
        for start in range(0, len(features), BLOCK):
            block = features[start : start + BLOCK]
            names = pyarrow.array(islice(images, len(block)), pyarrow.string())
            writer.write_table(pyarrow.Table.from_arrays([names, *_lists(pyarrow, block, widths)], schema=schema))


def _lists(pyarrow: Any, block: np.ndarray, widths: Mapping[str, int]) -> Iterator[Any]:
    unreadable = pyarrow.array(np.isnan(block[:, 0]))
    for part, width in zip(np.split(block, np.cumsum([*widths.values()])[:-1], axis=1), widths.values(), strict=True):
        values = pyarrow.array(np.ascontiguousarray(part).reshape(-1))
        yield pyarrow.FixedSizeListArray.from_arrays(values, width, mask=unreadable)
