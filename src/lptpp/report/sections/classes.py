"""The classes: how many training images each has, and how well each is recognized."""

import numpy as np

from lptpp.data.statistics import gini, imbalance_factor
from lptpp.report.class_scatter import class_plot
from lptpp.report.distribution import distribution_figure
from lptpp.report.gather import EvaluatedRun
from lptpp.report.section import Plot, Section
from lptpp.report.sections.class_table import class_table, never_recognized
from lptpp.utils.text import counted, listed

FEW_TESTED = 2  # images of a class, all of which a good model may get wrong by chance


def section(run: EvaluatedRun) -> Section:
    """Return the section on the classes."""
    return Section("Classes", [distribution(run), accuracy(run), class_table(run), *never_recognized(run)])


def distribution(run: EvaluatedRun) -> Plot:
    """Draw the training images of all classes, largest class first."""
    figure = distribution_figure(run.classes.counts, run.metrics["shot_thresholds"])
    caption = (
        "Logarithmic scale. Dashed lines are the shot thresholds. Classes without training images leave a gap on the"
        " right."
    )
    return Plot(figure, "Training images per class", imbalance(run), caption)


def accuracy(run: EvaluatedRun) -> Plot:
    """Draw the accuracy of the result on each class over its training images."""
    values = run.classes.accuracy[run.result]
    figure, ax, tooltips = class_plot(run, values, "accuracy {:.0f}%", "accuracy, %")
    ax.set_ylim(-3, 103)
    tested, never = np.isfinite(values).sum(), (values == 0).sum()
    of = f"of the {counted(tested, 'class')} with images in {run.place}"
    verb = "is" if never == 1 else "are"
    finding = f"{never:,} {of} {verb} never recognized." if never else f"Each {of} is recognized at least once."
    if never and (weak := int((run.classes.tested[values == 0] <= FEW_TESTED).sum())):
        finding += f" {_of_these(weak, int(never))} only one or two images there, which proves little."
    if untested := [name for name, images in zip(run.classes.names, run.classes.tested, strict=True) if not images]:
        finding += f" Classes without such images: {listed(untested)}."
    names = " (hover for names)" if tooltips else ""
    caption = (
        f"Each marker is a class, or several at the same position if it is larger{names}. The line is the mean over"
        " classes of similar size: the flatter it is, the less accuracy depends on class frequency."
    )
    return Plot(figure, f"Accuracy of {run.result.title} per class", finding, caption, tooltips)


def _of_these(some: int, these: int) -> str:
    """Return a subject with its verb for some, at least one, of these classes."""
    if some < these:
        return f"{some:,} of these {'has' if some == 1 else 'have'}"
    return {1: "It has", 2: "Both have"}.get(these, f"All {these:,} have")


def imbalance(run: EvaluatedRun) -> str:
    """Return the size and the imbalance of the training split."""
    names, counts = run.classes.names, run.classes.counts
    largest, smallest, empty = counts.argmax(), counts.argmin(), (counts == 0).sum()
    without = f" Classes without training images: {empty:,}." if empty else ""
    return (
        f"{counted(counts.sum(), 'image')} in {counted(len(counts), 'class')}, from {names[largest]}"
        f" ({counts[largest]:,}) to {names[smallest]} ({counts[smallest]:,}); imbalance factor"
        f" {imbalance_factor(counts):.1f}, Gini coefficient {gini(counts):.2f}.{without}"
    )
