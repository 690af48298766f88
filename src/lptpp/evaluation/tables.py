"""Result tables for the terminal, and the same as flat rows."""

import math
from collections.abc import Iterable, Iterator, Mapping
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
COLUMNS = {**ACCURACIES, "calibration_error": "ECE"}
MISSING = "–"


def shot_table(rows: Mapping[str, Mapping[str, Any]], title: str, borders: tuple[int, int]) -> Table:
    """Return a table of one line for each name and its `shot_accuracy` result (percent), the best in bold."""
    table = Table(title=Text(title), caption=Text(describe_borders(borders)))
    table.add_column("")
    add_metric_columns(table)
    best = best_cells(rows.values())
    for name, row in rows.items():
        table.add_row(Text(name), *metric_cells(row, best))
    return table


def comparison_table(runs: Mapping[str, Mapping[str, Any]]) -> Table:
    """Return the rows of several runs side by side, from {run name: content of its metrics.json}.

    The caption tells split, borders and seeds; or that the runs cannot be compared, and then nothing is bold.
    """
    rows = comparison_rows(runs)
    differences = list(differing(runs))
    tuned = [f"{run} {thousands(content.get('tuned_parameters'))}" for run, content in runs.items()]
    told = f"{' '.join(differences) or describe_runs(runs)}\nTuned parameters: {'; '.join(tuned)}"
    table = Table(title="Comparison of runs", caption=Text(told))
    table.add_column("Run", overflow="fold")
    table.add_column("Row", min_width=14, overflow="fold")
    add_metric_columns(table)
    best = {} if differences else best_cells(rows)
    for row in rows:
        table.add_row(Text(row["run"]), Text(row["row"]), *metric_cells(row, best))
    return table


def comparison_rows(runs: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return one flat dict for each row of each run: where it comes from, its parameters, its metrics."""
    return [
        {
            "run": run,
            "row": name,
            "method": content.get("method"),
            "split": content["split"],
            "borders": border_range(content),
            "seed": content.get("seed"),
            "tuned_parameters": content.get("tuned_parameters"),
            "backbone_parameters": content.get("backbone_parameters"),
            **{key: row.get(key) for key in COLUMNS},
        }
        for run, content in runs.items()
        for name, row in content["rows"].items()
    ]


def differing(runs: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Yield a sentence for each of data, split and borders in which the runs differ: they are not comparable."""
    splits = distinct(content["split"] for content in runs.values())
    borders = distinct(map(border_range, runs.values()))
    data = distinct(map(data_size, runs.values()))
    for what, values in (("data", data), ("splits", splits), ("shot borders", borders)):
        if len(values) > 1:
            yield f"Not comparable: the runs have different {what} ({', '.join(values)})."


def describe_runs(runs: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the split, borders and seeds of runs that agree in the first two."""
    contents = list(runs.values())
    if not contents:
        return "no runs"
    seeds = distinct(content.get("seed", MISSING) for content in contents)
    word = "seed" if len(seeds) == 1 else "seeds"
    borders = describe_borders(tuple(contents[0]["borders"]))
    return f"{contents[0]['split']} split; {borders}; {word} {', '.join(seeds)}"


def data_size(content: Mapping[str, Any]) -> str:
    """Return how many classes, training images and evaluated images a run has seen: other numbers are other data."""
    sizes = (content.get(key, MISSING) for key in ("classes", "training_images", "images"))
    return "{} classes, {} training and {} evaluated images".format(*sizes)


def border_range(content: Mapping[str, Any]) -> str:
    """Return the training images of medium-shot classes, as in 20-100."""
    return "-".join(str(border) for border in content["borders"])


def distinct(values: Iterable[object]) -> list[str]:
    """Return the different values as text, in their order."""
    return list(dict.fromkeys(str(value) for value in values))


def add_metric_columns(table: Table) -> None:
    """Add a column for each metric."""
    for heading in COLUMNS.values():
        table.add_column(heading, justify="right")


def best_cells(rows: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return the largest value of each accuracy column as printed, so that what looks equal is equal."""
    rows = list(rows)
    values = {key: [row[key] for row in rows if known(row.get(key))] for key in ACCURACIES}
    return {key: one_decimal(max(numbers)) for key, numbers in values.items() if numbers}


def metric_cells(row: Mapping[str, Any], best: Mapping[str, str]) -> list[Text]:
    """Return the printed metrics of a row, those that equal the best in bold."""
    printed = {key: one_decimal(row.get(key)) for key in COLUMNS}
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
