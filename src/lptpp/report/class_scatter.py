"""Scatter plots with a marker per class: training images against another value."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from lptpp.data.statistics import SHOTS
from lptpp.report.gather import Classes, EvaluatedRun
from lptpp.report.style import COLORS, INK, MARKERS, count_axis, log_position, panel, vertical_thresholds
from lptpp.utils.text import counted, listed

SIZES = ((1, 5.5), (3, 7.0), (10, 9.0), (np.inf, 11.5))  # marker size in points for up to so many classes at one place
STYLE: Any = {"alpha": 0.8, "markeredgecolor": "white", "markeredgewidth": 0.5}
MOST_MARKERS = 1500  # more are rasterized, which keeps the page small, and drawn transparently
RASTERIZED: Any = {"alpha": 0.25, "markeredgewidth": 0, "rasterized": True}
NAMED = 4  # classes named in a tooltip
TREND_PARTS, TREND_CLASSES = 8, 5  # maximum number of points of a trend, minimum number of classes per point
Tooltips = dict[str, list[str]]


def class_plot(run: EvaluatedRun, values: np.ndarray, template: str, label: str) -> tuple[Figure, Axes, Tooltips]:
    """Draw `values` (C,), which may be nan, over training images, and their mean; also return tooltips by gid.

    Classes at the same place share a marker, whose size grows with their number. `template` formats a value in a
    tooltip, for example "{:.2f}".
    """
    figure, ax = panel()
    tooltips = _draw_markers(ax, run, values, template)
    lines = _draw_trend(ax, run.classes.counts, values)
    count_axis(ax.xaxis, run.classes.counts)
    ax.set(xlabel="training images of the class", ylabel=label)
    vertical_thresholds(ax, run.metrics["shot_thresholds"])
    shots = [shot for shot in SHOTS if shot in run.classes.shots]
    markers = [Line2D([], [], color=COLORS[shot], marker=MARKERS[shot], linestyle="", label=shot) for shot in shots]
    figure.legend(handles=markers + lines, loc="outside upper right", ncols=4)
    return figure, ax, tooltips


def _draw_markers(ax: Axes, run: EvaluatedRun, values: np.ndarray, template: str) -> Tooltips:
    places = {shot: list(_places(run.classes, values, shot)) for shot in SHOTS}
    rasterized, tooltips = sum(map(len, places.values())) > MOST_MARKERS, {}
    for shot, of_shot in places.items():
        for size, members in _by_size(of_shot):
            gid, firsts = f"{shot}-{size:.0f}", np.array([classes[0] for classes in members])
            x = log_position(run.classes.counts[firsts])
            style = {**(RASTERIZED if rasterized else STYLE), "color": COLORS[shot], "markersize": size}
            ax.plot(x, values[firsts], MARKERS[shot], gid=gid, clip_on=False, **style)
            tooltips[gid] = [
                _tooltip(run, classes, template.format(values[classes[0]]).replace("-", "−")) for classes in members
            ]
    return {} if rasterized else tooltips


def _draw_trend(ax: Axes, counts: np.ndarray, values: np.ndarray) -> list[Line2D]:
    """Draw the mean of `values` (C,) over classes of similar size, in equal parts; nothing for few classes."""
    known = np.flatnonzero(np.isfinite(values))
    parts = min(TREND_PARTS, len(known) // TREND_CLASSES)
    if parts < 2:
        return []
    groups = np.array_split(known[np.argsort(counts[known], kind="stable")], parts)
    x = [np.exp(np.log(log_position(counts[group])).mean()) for group in groups]
    return ax.plot(x, [values[group].mean() for group in groups], color=INK, label="mean", zorder=4)


def _places(classes: Classes, values: np.ndarray, shot: str) -> Iterator[np.ndarray]:
    """Yield the classes of a shot that share a place of the plot."""
    members = np.flatnonzero(np.isfinite(values) & (classes.shots == shot))
    if len(members):
        at = np.stack([classes.counts[members], values[members].round(6)], axis=1)
        place = np.unique(at, axis=0, return_inverse=True)[1].ravel()
        order = np.argsort(place, kind="stable")
        yield from np.split(members[order], np.flatnonzero(np.diff(place[order])) + 1)


def _by_size(places: list[np.ndarray]) -> list[tuple[float, list[np.ndarray]]]:
    """Return the places drawn in each size, largest first, so that small markers are on top."""
    limits, sizes = zip(*SIZES, strict=True)
    drawn = np.searchsorted(limits, [len(classes) for classes in places])
    found = [(size, [places[i] for i in np.flatnonzero(drawn == place)]) for place, size in enumerate(sizes)]
    return [(size, members) for size, members in reversed(found) if members]


def _tooltip(run: EvaluatedRun, classes: np.ndarray, value: str) -> str:
    names = listed((run.classes.names[index] for index in classes), NAMED)
    of = run.classes
    least, most = of.tested[classes].min(), of.tested[classes].max()
    tested = counted(most, "test image") if least == most else f"{least:,} to {most:,} test images"
    return f"{names}: {counted(of.counts[classes[0]], 'training image')}, {tested}, {value}"
