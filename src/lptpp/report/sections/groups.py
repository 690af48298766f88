"""The group prompts: which classes select which groups."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from matplotlib.image import AxesImage
from matplotlib.ticker import MaxNLocator

from lptpp.report.gather import EvaluatedRun
from lptpp.report.group_use import credits, usage
from lptpp.report.section import Cell, Plot, Section, Table, number
from lptpp.report.style import COLORS, MUTED, plain_figure
from lptpp.report.text import percent, shortened

MOST_ROWS = 40  # of a heat map; more classes are combined
HEAT = LinearSegmentedColormap.from_list("heat", ["#f3f6f8", "#7fb5b5", "#0b4f55"])
NAMED = 3  # classes named for each group
LONGEST = 28  # characters of a class name in a heat map
INTRO = "Each image uses the groups of prompts whose keys match it best."


def section(run: EvaluatedRun) -> Section | None:
    """Return the section on the group prompts; None if no expert has any."""
    used = {name: counts for name, counts in run.groups.items() if counts.any()}
    plots = [heat_map(run, name, counts) for name, counts in used.items()]
    tables = [group_table(run, name, counts) for name, counts in used.items()]
    intro = f"{INTRO} {credits(run.group_use)}".strip()
    return Section("Group prompts", [*plots, *tables], intro) if used else None


def heat_map(run: EvaluatedRun, name: str, counts: np.ndarray) -> Plot:
    """Draw the share of images that select each group, by class or, for many classes, by classes of similar size.

    counts: (C, m) images of each class that select each group.
    """
    rows, tested = _rows(run), run.classes.tested
    height = max(len(rows), 12)
    figure = plain_figure(height=2.2 + 0.125 * height)
    above, ax = figure.subplots(2, 1, sharex=True, height_ratios=(7, height))
    above.bar(range(1, counts.shape[1] + 1), 100 * counts.sum(0) / tested.sum(), color=MUTED, width=0.8)
    above.set_ylabel("all, %")
    shares = np.stack([100 * counts[row].sum(0) / tested[row].sum() for row in rows])  # (R, m)
    image = _draw_cells(ax, shares)
    _label_rows(ax, run, rows)
    figure.colorbar(image, ax=ax, location="bottom", label="images that select the group, %", shrink=0.7, aspect=40)
    caption = (
        "Rows are classes, largest first, with their shot color on the left; a dark cell is a group that most images of"
        " the class select. Similar rows mean that the groups do not separate the classes. Top: all images."
    )
    return Plot(figure, f"Groups selected by expert {name}", usage(run.group_use[name]), caption)


def group_table(run: EvaluatedRun, name: str, counts: np.ndarray) -> Table:
    """Return the groups of an expert, most used first, with the classes whose images select them most."""
    shares = 100 * counts / np.maximum(run.classes.tested, 1)[:, None]  # (C, m)
    used = 100 * counts.sum(0) / run.classes.tested.sum()
    rows = []
    for group in np.argsort(-used, kind="stable")[: (used > 0).sum()]:
        first = np.lexsort((-counts[:, group], -shares[:, group]))[:NAMED]
        classes = [f"{run.classes.names[one]} ({percent(shares[one, group])})" for one in first if counts[one, group]]
        rows.append([number(str(group + 1)), number(percent(used[group])), Cell(", ".join(classes))])
    caption = "Images: share of all images that select the group; in parentheses, share of the images of the class."
    return Table(f"Groups of expert {name}", ["group", "images", "classes that select it most"], rows, caption)


def _rows(run: EvaluatedRun) -> list[np.ndarray]:
    """Return the evaluated classes, largest first, in as many parts as the map has rows."""
    tested = np.flatnonzero(run.classes.tested)
    ranked = tested[np.argsort(-run.classes.counts[tested], kind="stable")]
    return np.array_split(ranked, min(MOST_ROWS, len(ranked)))


def _draw_cells(ax: Axes, shares: np.ndarray) -> AxesImage:
    rows, groups = shares.shape
    ax.grid(False)
    ax.set_xlabel("group")
    ax.xaxis.set_major_locator(MaxNLocator(10, integer=True))
    style: Any = {"cmap": HEAT, "vmin": 0, "vmax": 100, "aspect": "auto", "interpolation": "none"}
    return ax.imshow(shares, extent=(0.5, groups + 0.5, rows - 0.5, -0.5), **style)


def _label_rows(ax: Axes, run: EvaluatedRun, rows: list[np.ndarray]) -> None:
    """Label rows with the class, or with the training images of combined classes, and color them by shot."""
    counts = [run.classes.counts[row] for row in rows]
    single = all(len(row) == 1 for row in rows)
    labels = (
        [shortened(run.classes.names[row[0]], LONGEST) for row in rows] if single else [f"{n[0]:,}" for n in counts]
    )
    step = 1 if single else max(len(rows) // 8, 1)
    ax.set_yticks(range(0, len(rows), step), labels[::step], fontsize=7.5 if single else 9)
    ax.set_ylabel("" if single else "training images of the classes")
    ax.tick_params(axis="y", length=0, pad=9)
    strip = ax.inset_axes((-0.03, 0, 0.018, 1), sharey=ax)
    colors = [[to_rgb(COLORS[run.classes.shots[row[0]]])] for row in rows]
    strip.imshow(colors, aspect="auto", interpolation="none", extent=(0, 1, len(rows) - 0.5, -0.5))
    strip.axis("off")
