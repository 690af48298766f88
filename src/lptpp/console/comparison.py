"""Runs side by side, for the terminal."""

from collections.abc import Iterator, Mapping, Sequence

from rich.table import Table
from rich.text import Text

from lptpp.console.tables import add_metric_columns
from lptpp.evaluation.compare import COSTS, Run, Spread, describe_runs, differing, sections
from lptpp.evaluation.table import ACCURACIES, COLUMNS, MISSING, best_cells, one_decimal


def comparison_table(runs: Sequence[Run]) -> Table:
    """Return a table with a section for each run, or for the seeds of one.

    The caption tells split, borders and seeds; or that the runs cannot be compared, and then nothing is bold.
    """
    differences = list(differing(runs))
    table = Table(title="Comparison of runs", caption=Text(" ".join(differences) or describe_runs(runs)))
    table.add_column("Row", min_width=14, overflow="fold")
    add_metric_columns(table)
    groups = list(sections(runs))
    every = [row for _, rows in groups for row in rows.values()]
    costs = [key for key in COSTS if any(row[key] for row in every)]  # one that no run tells is no column
    for key in costs:
        table.add_column(COSTS[key], justify="right")
    best = {} if differences else best_cells([{key: one and one.mean for key, one in row.items()} for row in every])
    for name, rows in groups:
        table.add_section()
        table.add_row(Text(name, style="italic"))
        for title, measures in rows.items():
            table.add_row(Text(title), *cells({key: measures[key] for key in (*COLUMNS, *costs)}, best))
    return table


def cells(measures: Mapping[str, Spread | None], best: Mapping[str, str]) -> Iterator[Text]:
    """Yield the printed measures of a row: accuracies with one decimal, the best bold; costs as whole numbers."""
    for key, one in measures.items():
        if one is None:
            yield Text(MISSING)
        elif key in COSTS:
            yield Text(f"{one.mean:,.0f}")
        else:
            bold = key in ACCURACIES and one_decimal(one.mean) == best.get(key)
            yield Text(str(one), style="bold" if bold else "")
