"""One mark for each class in the plane of training images and something else."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from lptpp.report.gather import Classes, Run
from lptpp.report.style import COLORS, INK, MARKS, SHOTS, count_axis, log_position, panel, upright_borders
from lptpp.report.text import counted
from lptpp.utils.text import listed

SIZES = ((1, 5.5), (3, 7.0), (10, 9.0), (np.inf, 11.5))  # up to so many classes at one place: points across
LOOK: Any = {"alpha": 0.8, "markeredgecolor": "white", "markeredgewidth": 0.5}
MOST_MARKS = 1500  # more become a picture, so that the page stays small, and are drawn as a mist
MIST: Any = {"alpha": 0.25, "markeredgewidth": 0, "rasterized": True}
NAMED = 4  # classes that a tip names
TREND_PARTS, TREND_CLASSES = 8, 5  # parts of a trend at most, classes in each at least
Tips = dict[str, list[str]]


def class_plot(run: Run, values: np.ndarray, what: str, label: str) -> tuple[Figure, Axes, Tips]:
    """Draw `values` (C,), nan where there is none, over training images, and their mean; return also tips on the marks.

    Classes at one place are one mark, the larger the more there are. `what` formats a value in a tip, as in "{:.2f}".
    """
    figure, ax = panel()
    tips = _draw_marks(ax, run, values, what)
    lines = _draw_trend(ax, run.classes.counts, values)
    count_axis(ax.xaxis, run.classes.counts)
    ax.set(xlabel="training images of the class", ylabel=label)
    upright_borders(ax, run.shot_thresholds)
    shots = [shot for shot in SHOTS if shot in run.classes.shots]
    marks = [Line2D([], [], color=COLORS[shot], marker=MARKS[shot], linestyle="", label=shot) for shot in shots]
    figure.legend(handles=marks + lines, loc="outside upper right", ncols=4)
    return figure, ax, tips


def _draw_marks(ax: Axes, run: Run, values: np.ndarray, what: str) -> Tips:
    places = {shot: list(_places(run.classes, values, shot)) for shot in SHOTS}
    as_picture, tips = sum(map(len, places.values())) > MOST_MARKS, {}
    for shot, of_shot in places.items():
        for size, members in _by_size(of_shot):
            gid, firsts = f"{shot}-{size:.0f}", np.array([classes[0] for classes in members])
            x = log_position(run.classes.counts[firsts])
            look = {**(MIST if as_picture else LOOK), "color": COLORS[shot], "markersize": size}
            ax.plot(x, values[firsts], MARKS[shot], gid=gid, clip_on=False, **look)
            tips[gid] = [_tip(run, classes, what.format(values[classes[0]])) for classes in members]
    return {} if as_picture else tips


def _draw_trend(ax: Axes, counts: np.ndarray, values: np.ndarray) -> list[Line2D]:
    """Draw the mean of `values` (C,) in equal parts of the classes by training images; nothing for few classes."""
    known = np.flatnonzero(np.isfinite(values))
    parts = min(TREND_PARTS, len(known) // TREND_CLASSES)
    if parts < 2:
        return []
    groups = np.array_split(known[np.argsort(counts[known], kind="stable")], parts)
    x = [np.exp(np.log(log_position(counts[group])).mean()) for group in groups]
    return ax.plot(x, [values[group].mean() for group in groups], color=INK, label="mean", zorder=4)


def _places(classes: Classes, values: np.ndarray, shot: str) -> Iterator[np.ndarray]:
    """Yield the classes of a shot at each place of the plane that has some."""
    chosen = np.flatnonzero(np.isfinite(values) & (classes.shots == shot))
    if len(chosen):
        at = np.stack([classes.counts[chosen], values[chosen].round(6)], axis=1)
        place = np.unique(at, axis=0, return_inverse=True)[1].ravel()
        order = np.argsort(place, kind="stable")
        yield from np.split(chosen[order], np.flatnonzero(np.diff(place[order])) + 1)


def _by_size(places: list[np.ndarray]) -> list[tuple[float, list[np.ndarray]]]:
    """Return the places drawn in each size, largest first: small ones lie on top."""
    limits, sizes = zip(*SIZES, strict=True)
    drawn = np.searchsorted(limits, [len(classes) for classes in places])
    found = [(size, [places[i] for i in np.flatnonzero(drawn == place)]) for place, size in enumerate(sizes)]
    return [(size, members) for size, members in reversed(found) if members]


def _tip(run: Run, classes: np.ndarray, value: str) -> str:
    names = listed((run.classes.names[index] for index in classes), NAMED)
    return f"{names}: {counted(run.classes.counts[classes[0]], 'training image')}, {value}"
