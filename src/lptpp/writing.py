"""Result files that other programs read, complete or not there at all."""

import csv
import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any, TextIO

import numpy as np


def write_csv(path: str | Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows under a header of the first row's keys; None, nan and inf become empty cells."""
    remaining = iter(rows)
    first = next(remaining, None)
    with replacing(path) as file:
        if first is not None:
            writer = csv.DictWriter(file, list(first), lineterminator="\n")
            writer.writeheader()
            writer.writerows(plain(row) for row in chain([first], remaining))


def write_json(path: str | Path, content: object) -> None:
    """Write content as indented JSON; nan and inf become null, NumPy values plain ones."""
    with replacing(path) as file:
        json.dump(plain(content), file, indent=2, ensure_ascii=False, allow_nan=False)
        file.write("\n")


@contextmanager
def replacing(path: str | Path) -> Iterator[TextIO]:
    """Open a neighbour of `path` for text and rename it once complete; an error leaves `path` as it was."""
    path = Path(path)
    neighbour = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with neighbour.open("w", encoding="utf-8", newline="") as file:
            yield file
        neighbour.replace(path)
    finally:
        neighbour.unlink(missing_ok=True)


def plain(value: Any) -> Any:
    """Return the value in what JSON knows: dicts, lists, text, finite numbers, None."""
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
