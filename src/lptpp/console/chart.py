"""The class counts as a chart for the terminal: 80 columns and about 40 lines, for 2 classes as for 10,000."""

from collections.abc import Iterator, Sequence

import numpy as np
from rich.bar import Bar
from rich.console import Group
from rich.table import Table
from rich.text import Text

from lptpp.data.statistics import describe_shots, shots

ROWS = 40
NAMES, COUNTS, BARS = 30, 13, 33  # the widths of the columns, with two spaces between them
COLORS = {"many": "blue", "medium": "yellow", "few": "red"}


def chart(names: Sequence[str], counts: np.ndarray, shot_thresholds: tuple[int, int]) -> Group:
    """Return a bar for each class by its training images (C,), largest first, with a heading for each shot.

    Where there are more than `ROWS` classes a bar is several neighbors' mean; none goes across a shot border.
    """
    kinds, order = shots(counts, shot_thresholds), np.argsort(-counts, kind="stable")
    ranks = np.empty(len(counts), int)
    ranks[order] = np.arange(1, len(counts) + 1)
    parts: list[Text | Table] = []
    for rule in describe_shots(shot_thresholds).split(", "):
        kind = rule.split(":")[0]
        members = order[kinds[order] == kind]
        if len(members):
            parts += [_heading(rule, counts[members], counts), _bars(members, ranks, names, counts, COLORS[kind])]
    return Group(*parts)


def _heading(rule: str, counts: np.ndarray, all_counts: np.ndarray) -> Text:
    share = 100 * counts.sum() / all_counts.sum()
    classes = f"{len(counts):,} of {len(all_counts):,} classes, {share:.1f} % of the images"
    return Text(f"{rule}\n  {classes}", style="bold")


def _bars(members: np.ndarray, ranks: np.ndarray, names: Sequence[str], counts: np.ndarray, color: str) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(width=NAMES, no_wrap=True, overflow="ellipsis")
    table.add_column(width=COUNTS, no_wrap=True, justify="right")
    table.add_column(width=BARS)
    largest = float(counts.max())
    for some in _neighbours(members, len(counts)):
        mean = float(counts[some].mean())
        length = max(mean, largest / BARS / 8) if mean else 0.0  # an eighth of a letter, the least that shows
        bar = Bar(largest, 0, length, width=BARS, color=color)
        table.add_row(_label(some, ranks, names), _range(counts[some]), bar)
    return table


def _neighbours(members: np.ndarray, classes: int) -> Iterator[np.ndarray]:
    rows = len(members) if classes <= ROWS else max(round(ROWS * len(members) / classes), 1)
    return iter(np.array_split(members, rows))


def _label(some: np.ndarray, ranks: np.ndarray, names: Sequence[str]) -> Text:
    name = " ".join(names[some[0]].split())
    return Text(name if len(some) == 1 else f"{ranks[some[0]]:,}–{ranks[some[-1]]:,}: {name}, …")


def _range(counts: np.ndarray) -> str:
    most, least = f"{counts.max():,}", f"{counts.min():,}"
    return most if most == least else f"{most}–{least}"
