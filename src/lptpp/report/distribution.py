"""The long tail in one figure: training images of all classes, largest class first."""

import numpy as np
from matplotlib.figure import Figure

from lptpp.data.statistics import shots
from lptpp.report.style import COLORS, FLOOR, SHOTS, count_axis, level_borders, panel


def distribution_figure(counts: np.ndarray, shot_thresholds: tuple[int, int]) -> Figure:
    """Return the figure for class counts (C,), colored by shot; classes of no image leave a gap at the right."""
    counts = np.sort(counts)[::-1]
    kinds = shots(counts, shot_thresholds)
    figure, ax = panel()
    for shot in SHOTS:
        heights, edges = steps(counts, kinds == shot)
        if len(heights):
            label = f"{shot} ({(kinds == shot).sum():,})"
            ax.stairs(heights, edges, baseline=FLOOR, fill=True, color=COLORS[shot], label=label)
    count_axis(ax.yaxis, counts[counts > 0])
    ax.set(xlim=(0, len(counts)), ylim=(FLOOR, 1.25 * max(counts.max(), shot_thresholds[1])))
    ax.set(xlabel="classes, largest first", ylabel="training images")
    ax.xaxis.set_major_formatter("{x:,.0f}")
    level_borders(ax, shot_thresholds)
    figure.legend(loc="outside upper right", ncols=3)
    return figure


def steps(counts: np.ndarray, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return heights and edges of the stairs of descending `counts` at the `chosen` places, which are adjacent.

    Equal neighbors are one step, so that 8,142 classes are a few hundred; classes of no image are left out.
    """
    places = np.flatnonzero(chosen & (counts > 0))
    if not len(places):
        return counts[:0], counts[:0]
    firsts = places[np.flatnonzero(np.diff(counts[places], prepend=-1))]
    return counts[firsts], np.append(firsts, places[-1] + 1)
