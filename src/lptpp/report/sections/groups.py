"""The pool of group prompts: which groups which classes choose."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from matplotlib.image import AxesImage
from matplotlib.ticker import MaxNLocator

from lptpp.report.gather import Run
from lptpp.report.section import Cell, Plate, Section, Table, number
from lptpp.report.style import COLORS, MUTED, plain_figure
from lptpp.report.text import percent, shortened

MOST_ROWS = 40  # of a heat map: more classes are taken together
HEAT = LinearSegmentedColormap.from_list("heat", ["#f3f6f8", "#7fb5b5", "#0b4f55"])
NAMED = 3  # classes named for each group
INTRO = "Each image uses the groups of prompts whose keys are nearest to it."


def section(run: Run) -> Section | None:
    """Return the part on the group prompts; None where no expert has any."""
    if run.groups is None:
        note = "groups.csv, which says what classes choose which groups, is not in the run folder. This adds it:"
        return Section("The prompt pool", note=note, command=f"lptpp evaluate {run.folder}")
    pools = {name: counts for name, counts in run.groups.items() if counts.any()}
    plates = [heat_map(run, name, counts) for name, counts in pools.items()]
    tables = [choosers(run, name, counts) for name, counts in pools.items()]
    return Section("The prompt pool", [*plates, *tables], INTRO) if pools else None


def heat_map(run: Run, name: str, counts: np.ndarray) -> Plate:
    """Draw for every class (few) or for classes of like size (many) the share of images that choose each group.

    counts: (C, m) images of each class that choose each group.
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
    figure.colorbar(image, ax=ax, location="bottom", label="images that choose it, %", shrink=0.7, aspect=40)
    return Plate(figure, f"Groups that {name} chooses", message(counts, run.settings.experts[name].top_k), (
        "Rows are classes, the largest on top, colored at the left by shot; a dark cell is a group that most images of"
        " the class choose. Rows alike: the pool does not tell classes apart. The bars are all images together."
    ))  # fmt: skip


def message(counts: np.ndarray, top_k: int) -> str:
    """Return in a sentence how many groups are in use, and how evenly."""
    shares = counts.sum(0) / counts.sum()
    used = shares[shares > 0]
    even = np.exp(-(used * np.log(used)).sum())
    return (
        f"{len(used)} of {len(shares)} groups are used, as evenly as {even:.1f} groups of equal use; each image uses"
        f" {top_k}."
    )


def choosers(run: Run, name: str, counts: np.ndarray) -> Table:
    """Return the groups of an expert, most used first, with the classes of which most images choose them."""
    shares = 100 * counts / np.maximum(run.classes.tested, 1)[:, None]  # (C, m)
    used = 100 * counts.sum(0) / run.classes.tested.sum()
    rows = []
    for group in np.argsort(-used, kind="stable")[: (used > 0).sum()]:
        first = np.lexsort((-counts[:, group], -shares[:, group]))[:NAMED]
        classes = [f"{run.classes.names[one]} ({percent(shares[one, group])})" for one in first if counts[one, group]]
        rows.append([number(str(group + 1)), number(percent(used[group])), Cell(", ".join(classes))])
    reading = "Used by: of all images. In brackets: of the images of the class."
    headings = ["group", "used by", "classes that choose it most"]
    return Table(f"Who chooses which group of {name}", headings, rows, reading)


def _rows(run: Run) -> list[np.ndarray]:
    """Return the classes with pictures, largest first, in as many parts as the map has rows."""
    tested = np.flatnonzero(run.classes.tested)
    ranked = tested[np.argsort(-run.classes.counts[tested], kind="stable")]
    return np.array_split(ranked, min(MOST_ROWS, len(ranked)))


def _draw_cells(ax: Axes, shares: np.ndarray) -> AxesImage:
    rows, groups = shares.shape
    ax.grid(False)
    ax.set_xlabel("group of prompts")
    ax.xaxis.set_major_locator(MaxNLocator(10, integer=True))
    look: Any = {"cmap": HEAT, "vmin": 0, "vmax": 100, "aspect": "auto", "interpolation": "none"}
    return ax.imshow(shares, extent=(0.5, groups + 0.5, rows - 0.5, -0.5), **look)


def _label_rows(ax: Axes, run: Run, rows: list[np.ndarray]) -> None:
    """Name the classes at the left, or say how many training images those of a row have; and color them by shot."""
    counts = [run.classes.counts[row] for row in rows]
    single = all(len(row) == 1 for row in rows)
    labels = [shortened(run.classes.names[row[0]], 18) for row in rows] if single else [f"{n[0]:,}" for n in counts]
    step = 1 if single else max(len(rows) // 8, 1)
    ax.set_yticks(range(0, len(rows), step), labels[::step], fontsize=7.5 if single else 9)
    ax.set_ylabel("" if single else "training images of the classes")
    ax.tick_params(axis="y", length=0, pad=9)
    strip = ax.inset_axes((-0.03, 0, 0.018, 1), sharey=ax)
    colors = [[to_rgb(COLORS[run.classes.shots[row[0]]])] for row in rows]
    strip.imshow(colors, aspect="auto", interpolation="none", extent=(0, 1, len(rows) - 0.5, -0.5))
    strip.axis("off")
