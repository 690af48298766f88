"""The classes: how many pictures each has, and how well each is recognized."""

import numpy as np

from lptpp.data.statistics import gini, imbalance_factor
from lptpp.report.class_scatter import class_plot
from lptpp.report.distribution import distribution_figure
from lptpp.report.gather import Run
from lptpp.report.section import Plate, Section
from lptpp.utils.text import listed


def section(run: Run) -> Section:
    """Return the part on the classes of the data."""
    return Section("The classes", [distribution(run), accuracy(run)])


def distribution(run: Run) -> Plate:
    """Draw the training images of all classes, largest class first."""
    figure = distribution_figure(run.classes.counts, run.shot_thresholds)
    return Plate(figure, "Training images of each class", imbalance(run), (
        "The scale is logarithmic. Dashed lines are the borders between many-, medium- and few-shot classes. Classes"
        " without a training image leave a gap at the right."
    ))  # fmt: skip


def accuracy(run: Run) -> Plate:
    """Draw the answer's accuracy on each class over its training images."""
    values = run.classes.accuracy[run.result]
    figure, ax, tips = class_plot(run, values, "{:.0f} % right", "accuracy, %")
    ax.set_ylim(-3, 103)
    tested, never, part = np.isfinite(values).sum(), (values == 0).sum(), run.metrics["split"]
    finding = f"Of {tested:,} classes with pictures in the {part} part, {never:,} are never recognized."
    if untested := [name for name, images in zip(run.classes.names, run.classes.tested, strict=True) if not images]:
        finding += f" Without a picture there: {listed(untested)}."
    names = "; point at it for names" if tips else ""
    return Plate(figure, f"Accuracy of {run.result} on each class", finding, (
        f"A mark is a class, a larger one several at the same place{names}. The line is the mean of classes of like"
        " size: the flatter it is, the less rarity costs."
    ), tips)  # fmt: skip


def imbalance(run: Run) -> str:
    """Return in a sentence how long the tail is."""
    names, counts = run.classes.names, run.classes.counts
    largest, smallest, empty = counts.argmax(), counts.argmin(), (counts == 0).sum()
    message = f" Classes without a training image: {empty:,}." if empty else ""
    return (
        f"{counts.sum():,} images of {len(counts):,} classes, from {names[largest]} ({counts[largest]:,}) to"
        f" {names[smallest]} ({counts[smallest]:,}); imbalance factor {imbalance_factor(counts):.0f}, Gini coefficient"
        f" {gini(counts):.2f}.{message}"
    )
