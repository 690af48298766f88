"""The shot table of a run, and the comparison of several runs."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from lptpp.data.statistics import describe_shots
from lptpp.evaluation.compare import (
    ComparedRun,
    Spread,
    comparable_measures,
    describe_runs,
    differences,
    seed_groups,
    without_equal,
)
from lptpp.evaluation.costs import COSTS, LEGEND
from lptpp.evaluation.table import ACCURACIES, COLUMNS, MISSING, ResultRow, best_cells, notes, one_decimal
from lptpp.utils.text import visible

RESULT_MARK = "▸"
RESULT_LEGEND = f"{RESULT_MARK} result of the run"
CALIBRATION = "expected calibration error in %, lower is better"
LONGEST_NAME, MIN_WIDTH, WIDEST = 48, 60, 1000  # characters


def cell(text: str, style: str = "") -> Text:
    """Return a cell or a title with names of files and classes, see `visible`."""
    return Text(visible(text), style)


def shot_table(
    rows: Mapping[str, Mapping[str, Any]],
    title: str,
    shot_thresholds: Sequence[int],
    result: str,
    columns: Mapping[str, str] = COLUMNS,
    caption: str = "",
    tested: Mapping[str, Mapping[str, int]] | None = None,
) -> Table:
    """Return the shot table of metrics by row key (as in metrics.json), with the best accuracies in bold.

    The row `result` is marked among others. `columns` are headings by metric; `caption` precedes the description of the
    shot thresholds. `tested` are the images and classes of each shot group.
    """
    marked = result if len(rows) > 1 else None
    legends = [RESULT_LEGEND] * (marked in rows) + [f"ECE: {CALIBRATION}"] * ("calibration_error" in columns)
    above = filter(None, [caption, "; ".join(legends)])
    lines = [*above, describe_shots(shot_thresholds), *notes(rows, columns, tested)]
    table = Table(title=cell(title), caption=Text("\n".join(map(visible, lines))))
    table.add_column("")
    add_metric_columns(table, columns)
    best = best_cells(row for key, row in rows.items() if not ResultRow.parse(key).is_bound)
    for key, row in rows.items():
        mark = f"{RESULT_MARK} " if key == marked else ""
        table.add_row(cell(f"{mark}{ResultRow.parse(key).title}"), *metric_cells(row, best, columns))
    return table


def add_metric_columns(table: Table, columns: Mapping[str, str] = COLUMNS) -> None:
    """Add a right-aligned column for each metric."""
    for heading in columns.values():
        table.add_column(heading, justify="right")


def metric_cells(row: Mapping[str, Any], best: Mapping[str, str], columns: Mapping[str, str] = COLUMNS) -> list[Text]:
    """Return the printed metrics of a row; those equal to the best of their column are bold."""
    printed = {key: one_decimal(row.get(key)) for key in columns}
    return [Text(cell, style="bold" if cell == best.get(key) else "") for key, cell in printed.items()]


def comparison_table(runs: Sequence[ComparedRun]) -> Table:
    """Return a table with a section for each run, or group of runs that differ only in their seed.

    The caption names split, shot thresholds and seeds. If the runs are not comparable, it says so and nothing is bold;
    other shot thresholds concern many, medium and few only. The table is as wide as its names need.
    """
    reasons, groups = list(differences(runs)), list(seed_groups(runs))
    common, groups = without_equal(groups)
    table = Table(title="Comparison of runs")
    table.add_column("Row", max_width=LONGEST_NAME, overflow="fold")
    add_metric_columns(table)
    compared = [*common, *(row for group in groups for row in group.rows)]
    costs = [key for key in COSTS if any(row.measures[key] for row in compared)]  # no empty columns
    for key in costs:
        table.add_column(COSTS[key], justify="right")
    rated = [row.measures for row in compared if not row.row.is_bound]
    means = [{key: found and found.mean for key, found in measures.items()} for measures in rated]
    best = {key: cell for key, cell in best_cells(means).items() if key in comparable_measures(runs)}
    legend = [f"ECE: {CALIBRATION}", *(f"{COSTS[key]}: {LEGEND[key]}" for key in costs)]
    caption = f"{RESULT_LEGEND}. {' '.join(reasons) or describe_runs(runs)}. {'; '.join(legend)}."
    table.caption = cell(caption.replace("..", "."))
    if common:
        table.add_row(cell("equal in all runs", style="italic"))
    for row in common:
        table.add_row(cell(row.row.title), *measure_cells({key: row.measures[key] for key in (*COLUMNS, *costs)}, best))
    for group in groups:
        table.add_section()
        table.add_row(cell(", ".join(group.names) + _seeds(len(group.names), 1), style="italic"))
        for row in group.rows:
            shown = {key: row.measures[key] for key in (*COLUMNS, *costs)}
            mark = f"{RESULT_MARK} " if row.row in group.results else ""
            name = f"{mark}{row.row.title}{_seeds(row.seeds, len(group.names))}"
            table.add_row(cell(name), *measure_cells(shown, best))
    table.width = max(Console(width=WIDEST).measure(table).maximum, MIN_WIDTH)
    return table


def _seeds(count: int, expected: int) -> str:
    """Return the number of seeds in parentheses if it is not the expected one."""
    return "" if count == expected else f" ({count} {'seed' if count == 1 else 'seeds'})"


def measure_cells(measures: Mapping[str, Spread | None], best: Mapping[str, str]) -> Iterator[Text]:
    """Yield the printed measures of a row: accuracies with one decimal, the best in bold; costs as whole numbers."""
    for key, found in measures.items():
        if found is None:
            yield Text(MISSING)
        elif key in COSTS:
            yield Text(f"{found.mean:,.0f}")
        else:
            bold = key in ACCURACIES and one_decimal(found.mean) == best.get(key)
            yield Text(str(found), style="bold" if bold else "")
