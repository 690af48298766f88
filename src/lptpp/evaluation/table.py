"""The columns of the shot table, and how its numbers are written."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

ACCURACIES = {
    "overall": "Overall",
    "many": "Many",
    "medium": "Medium",
    "few": "Few",
    "mean_class": "Mean class",
}
BALANCED = {key: name for key, name in ACCURACIES.items() if key != "mean_class"}  # there, that is overall
COLUMNS = {**ACCURACIES, "calibration_error": "ECE"}
MISSING = "–"


def best_cells(rows: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return the largest value of each accuracy column as printed, so that what looks equal is equal."""
    rows = list(rows)
    values = {key: [row[key] for row in rows if known(row.get(key))] for key in ACCURACIES}
    return {key: one_decimal(max(numbers)) for key, numbers in values.items() if numbers}


def known(value: float | None) -> bool:
    """Return whether there is a number."""
    return value is not None and math.isfinite(value)


def one_decimal(value: float | None) -> str:
    """Return a number with one decimal, a dash for none."""
    return f"{value:.1f}" if value is not None and known(value) else MISSING


def thousands(value: int | None) -> str:
    """Return a whole number with separators, a dash for none."""
    return MISSING if value is None else f"{value:,}"
