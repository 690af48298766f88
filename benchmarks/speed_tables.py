"""The tables that `speed.py` prints."""

from typing import Any

from rich.console import Console
from rich.table import Table

from goals import GOALS, number
from machine import stamp_line

STYLES = {"reached": "green", "missed": "red", "–": "dim"}


def show(report: dict[str, Any], console: Console) -> None:
    """Print the goals with what was measured, and every case."""
    console.print(stamp_line(report["machine"]))
    console.print(goal_table(report))
    console.print(case_table(report))


def goal_table(report: dict[str, Any]) -> Table:
    """Return the goals beside what was measured, in the order of `GOALS`."""
    table = Table("Goal", "Bound", "On", "Measured", "")
    verdicts = [row["verdict"] for row in report["goals"]]
    counted = f"{verdicts.count('reached')} reached, {verdicts.count('missed')} missed"
    table.caption = f"{counted}, {verdicts.count('–')} not measured; × is the median over rounds of a ratio within one"
    for row in sorted(report["goals"], key=lambda row: list(GOALS).index(row["goal"])):
        cells = [row[column] for column in ("what", "bound", "on", "measured", "verdict")]
        table.add_row(*cells, style=STYLES[row["verdict"]])
    return table


def case_table(report: dict[str, Any]) -> Table:
    """Return time, images a second and peak memory of every case."""
    table = Table("On", "Section", "Case")
    for name in ("ms", "images/s", "peak MB"):
        table.add_column(name, justify="right")
    message = [f"on {device}: {meaning}" for device, meaning in report["peak_memory"].items()]
    table.caption = f"Medians. Peak memory is of one run, beyond weights and inputs; {'; '.join(message)}."
    for case in report["cases"]:
        numbers = (1000 * case["median_seconds"], case["images_a_second"], case["peak_bytes"] / 1e6)
        table.add_row(case["on"], case["section"], case["case"], *map(number, numbers))
    return table
