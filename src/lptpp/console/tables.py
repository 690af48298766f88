"""The shot table of one run."""

from collections.abc import Mapping
from typing import Any

from rich.table import Table
from rich.text import Text

from lptpp.data.statistics import describe_shots
from lptpp.evaluation.table import COLUMNS, best_cells, one_decimal


def shot_table(
    rows: Mapping[str, Mapping[str, Any]],
    title: str,
    shot_thresholds: tuple[int, int],
    columns: Mapping[str, str] = COLUMNS,
    caption: str = "",
) -> Table:
    """Return a table of one line for each name and its `shot_accuracy` result (percent), the best in bold.

    `columns` are headings by the key of a result; `caption` comes above the borders.
    """
    message = f"{caption}\n{describe_shots(shot_thresholds)}".strip()
    table = Table(title=Text(title), caption=Text(message))
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


def metric_cells(row: Mapping[str, Any], best: Mapping[str, str], columns: Mapping[str, str] = COLUMNS) -> list[Text]:
    """Return the printed metrics of a row, those that equal the best in bold."""
    printed = {key: one_decimal(row.get(key)) for key in columns}
    return [Text(cell, style="bold" if cell == best.get(key) else "") for key, cell in printed.items()]
