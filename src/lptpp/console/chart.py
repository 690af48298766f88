"""A chart of class counts for the terminal: 80 columns and about 40 lines for any number of classes."""

from collections.abc import Iterator, Sequence

import numpy as np
from rich.bar import Bar
from rich.console import Group
from rich.table import Table
from rich.text import Text

from lptpp.console.tables import cell
from lptpp.data.statistics import describe_shots, shots

LINES = 40
NAMES, COUNTS, BARS = 30, 13, 33  # column widths, with two spaces between columns
COLORS = {"many": "blue", "medium": "yellow", "few": "red"}


def chart(names: Sequence[str], counts: np.ndarray, shot_thresholds: Sequence[int]) -> Group:
    """Return a bar for each class by its training images (C,), largest first, with a heading for each shot.

    With more than `LINES` classes, a bar is the mean of several neighboring classes of one shot.
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
    classes = f"{len(counts):,} of {len(all_counts):,} classes, {share:.1f}% of the images"
    return Text(f"{rule}\n  {classes}", style="bold")


def _bars(members: np.ndarray, ranks: np.ndarray, names: Sequence[str], counts: np.ndarray, color: str) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(width=NAMES, no_wrap=True, overflow="ellipsis")
    table.add_column(width=COUNTS, no_wrap=True, justify="right")
    table.add_column(width=BARS)
    largest = float(counts.max())
    for group in _neighbors(members, len(counts)):
        mean = float(counts[group].mean())
        length = max(mean, largest / BARS / 8) if mean else 0.0  # an eighth of a character is the shortest visible bar
        bar = Bar(largest, 0, length, width=BARS, color=color)
        table.add_row(_label(group, ranks, names), _range(counts[group]), bar)
    return table


def _neighbors(members: np.ndarray, classes: int) -> Iterator[np.ndarray]:
    rows = len(members) if classes <= LINES else max(round(LINES * len(members) / classes), 1)
    return iter(np.array_split(members, rows))


def _label(group: np.ndarray, ranks: np.ndarray, names: Sequence[str]) -> Text:
    name = " ".join(names[group[0]].split())
    return cell(name if len(group) == 1 else f"{ranks[group[0]]:,}–{ranks[group[-1]]:,}: {name}, …")


def _range(counts: np.ndarray) -> str:
    most, least = f"{counts.max():,}", f"{counts.min():,}"
    return most if most == least else f"{most}–{least}"
