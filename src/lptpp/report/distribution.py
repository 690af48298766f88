"""The long tail in one figure: the training images of all classes, largest class first."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from lptpp.data.statistics import SHOTS, shots
from lptpp.report.style import COLORS, FLOOR, count_axis, horizontal_thresholds, panel


def distribution_figure(counts: np.ndarray, shot_thresholds: Sequence[int]) -> Figure:
    """Return the figure for class counts (C,), colored by shot; empty classes leave a gap on the right."""
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
    horizontal_thresholds(ax, shot_thresholds)
    figure.legend(loc="outside upper right", ncols=3)
    return figure


def steps(counts: np.ndarray, selected: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return heights and edges of the stairs of descending `counts` at the `selected`, adjacent places.

    Equal neighbors form one step, so 8,142 classes become a few hundred steps; empty classes are left out.
    """
    places = np.flatnonzero(selected & (counts > 0))
    if not len(places):
        return counts[:0], counts[:0]
    firsts = places[np.flatnonzero(np.diff(counts[places], prepend=-1))]
    return counts[firsts], np.append(firsts, places[-1] + 1)
