"""The table of one run for the terminal, and how its numbers are written."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

from rich.table import Table
from rich.text import Text

from lptpp.data.statistics import describe_borders

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


def shot_table(
    rows: Mapping[str, Mapping[str, Any]],
    title: str,
    borders: tuple[int, int],
    columns: Mapping[str, str] = COLUMNS,
    caption: str = "",
) -> Table:
    """Return a table of one line for each name and its `shot_accuracy` result (percent), the best in bold.

    `columns` are headings by the key of a result; `caption` comes above the borders.
    """
    told = f"{caption}\n{describe_borders(borders)}".strip()
    table = Table(title=Text(title), caption=Text(told))
    table.add_column("")
    add_metric_columns(table, columns)
    best = best_cells(rows.values())
    for name, row in rows.items():
        table.add_row(Text(name), *metric_cells(row, best, columns))
    return table


def add_metric_columns(table: Table, columns: Mapping[str, str] = COLUMNS) -> None:
    """Add a column for each metric."""
    for heading in columns.values():
        table.add_column(heading, justify="right")


def best_cells(rows: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return the largest value of each accuracy column as printed, so that what looks equal is equal."""
    rows = list(rows)
    values = {key: [row[key] for row in rows if known(row.get(key))] for key in ACCURACIES}
    return {key: one_decimal(max(numbers)) for key, numbers in values.items() if numbers}


def metric_cells(row: Mapping[str, Any], best: Mapping[str, str], columns: Mapping[str, str] = COLUMNS) -> list[Text]:
    """Return the printed metrics of a row, those that equal the best in bold."""
    printed = {key: one_decimal(row.get(key)) for key in columns}
    return [Text(cell, style="bold" if cell == best.get(key) else "") for key, cell in printed.items()]


def known(value: float | None) -> bool:
    """Return whether there is a number."""
    return value is not None and math.isfinite(value)


def one_decimal(value: float | None) -> str:
    """Return a number with one decimal, a dash for none."""
    return f"{value:.1f}" if value is not None and known(value) else MISSING


def thousands(value: int | None) -> str:
    """Return a whole number with separators, a dash for none."""
    return MISSING if value is None else f"{value:,}"
