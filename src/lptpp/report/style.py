"""The style of all figures: colors, markers, axes."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

COLORS = {
    "many": "#004488",
    "medium": "#DDAA33",
    "few": "#BB5566",
}  # distinguishable in grayscale and with color blindness
MARKERS = {"many": "o", "medium": "s", "few": "^"}
INK, MUTED, PALE = "#22303c", "#5f6f7d", "#e3e8ed"
LINES = (
    ("#22303c", "-"),
    ("#1a8a8a", "--"),
    ("#8a5fa8", ":"),
    ("#7a8793", "-."),
)  # color and dashes of experts, in order
NO_IMAGES = 0.5  # position of a class without training images on a logarithmic axis
FLOOR = 0.7  # between 0 and 1
THRESHOLD: Any = {"color": MUTED, "linewidth": 0.9, "linestyle": (0, (4, 3)), "zorder": 1}
THRESHOLD_TEXT: Any = {"color": MUTED, "fontsize": 8.5}
STYLE: Any = {
    "svg.fonttype": "none",  # text stays text: small, searchable, in the fonts of the browser
    "svg.hashsalt": "lptpp",  # reproducible bytes
    "text.parse_math": False,  # class names may contain dollar signs
    "axes.unicode_minus": True,
    "figure.autolayout": False,  # `lptpp.report.svg` lays figures out
    "figure.constrained_layout.use": False,
    "font.size": 10,
    "axes.labelsize": 10,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": PALE,
    "grid.linewidth": 0.8,
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "legend.fontsize": 9.5,
    "legend.handletextpad": 0.4,
    "legend.columnspacing": 1.4,
    "lines.linewidth": 1.8,
}


def style() -> Any:
    """Return the context for drawing and writing figures."""
    return rc_context(STYLE)


def plain_figure(width: float = 4.4, height: float = 3.2) -> Figure:
    """Return an empty figure, in inches; a width of 4.4 fills a phone screen or half a page."""
    return Figure(figsize=(width, height), layout="constrained")


def panel(width: float = 4.4, height: float = 3.2) -> tuple[Figure, Axes]:
    """Return a figure with one set of axes."""
    figure = plain_figure(width, height)
    return figure, figure.add_subplot()


def log_position(counts: np.ndarray) -> np.ndarray:
    """Return the positions of counts on a logarithmic axis that has a place for zero."""
    return np.where(counts > 0, counts, NO_IMAGES)


def count_axis(axis: Any, counts: np.ndarray) -> None:
    """Make an axis (`ax.xaxis` or `ax.yaxis`) logarithmic in training images, with whole-number labels including 0."""
    ticks = round_numbers(int(counts.max()))
    zero = [NO_IMAGES] if (counts == 0).any() else []
    axis.axes.set(**{f"{axis.axis_name}scale": "log"})
    axis.set_major_locator(FixedLocator(zero + ticks))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: "0" if value < 1 else f"{value:,.0f}"))


def round_numbers(largest: int) -> list[float]:
    """Return 1, 10, 100, … up to `largest`, with values in between if that leaves few."""
    powers = [10.0**exponent for exponent in range(9)]
    steps = (1, 2, 5) if largest < 100 else (1, 3) if largest < 1000 else (1,)
    return [step * power for power in powers for step in steps if step * power <= max(largest, 1)]


def vertical_thresholds(ax: Axes, shot_thresholds: Sequence[int]) -> None:
    """Mark the shot thresholds on a horizontal axis of training images."""
    for threshold in shot_thresholds:
        place = max(threshold, FLOOR)
        ax.axvline(place, **THRESHOLD)
        place_of: Any = {"transform": ax.get_xaxis_transform(), "ha": "center", "va": "bottom"}
        ax.text(place, 1, f"{threshold:,}", **place_of, **THRESHOLD_TEXT)


def horizontal_thresholds(ax: Axes, shot_thresholds: Sequence[int]) -> None:
    """Mark the shot thresholds on a vertical axis of training images."""
    for threshold in shot_thresholds:
        place = max(threshold, FLOOR)
        ax.axhline(place, **THRESHOLD)
        place_of: Any = {"transform": ax.get_yaxis_transform(), "ha": "left", "va": "center"}
        ax.text(1, place, f" {threshold:,}", **place_of, **THRESHOLD_TEXT)
