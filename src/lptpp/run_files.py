"""The files of a finished run, read back."""

import csv
import json
from pathlib import Path
from typing import Any

from lptpp.errors import UserError


def read_metrics(run: Path) -> dict[str, Any]:
    """Return what metrics.json of a run folder holds.

    Raises `UserError` where it is missing or damaged.
    """
    path = run / "metrics.json"
    if not path.is_file():
        raise UserError(f"{path} does not exist: finish the run with `lptpp fit`, or name another folder.")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{path} is not valid JSON ({error}): write it again with `lptpp evaluate {run}`.") from error


def read_rows(path: Path) -> list[dict[str, str]]:
    """Return the rows of a CSV file of a run folder, as text.

    Raises `UserError` where it is missing, empty or cut short.
    """
    again = f"write it again with `lptpp evaluate {path.parent}`."
    if not path.is_file():
        raise UserError(f"{path} does not exist: {again}")
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path} cannot be read ({error}): {again}") from error
    if not rows or any(None in row or None in row.values() for row in rows):
        raise UserError(f"{path} is empty or cut short: {again}")
    return rows
