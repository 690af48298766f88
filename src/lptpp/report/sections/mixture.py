"""The mixture: where it improves on its experts, and how the scorer weighs them."""

import numpy as np

from lptpp.data.statistics import SHOTS
from lptpp.evaluation.findings import constant_scorer
from lptpp.evaluation.table import ResultRow
from lptpp.report.class_scatter import class_plot
from lptpp.report.gather import EvaluatedRun
from lptpp.report.section import Cell, Plot, Section, Table, number
from lptpp.report.style import INK
from lptpp.report.text import percent, signed
from lptpp.utils.text import counted

NAMED = 3  # classes named of those that gain and lose most


def section(run: EvaluatedRun) -> Section | None:
    """Return the section on the mixture; for a single expert, the gain of phase 2, or None without phase 2."""
    experts = list(run.settings.experts)
    if len(experts) > 1:
        weighed = experts[:1] if len(experts) == 2 else experts  # the weight of the second of two is the rest
        gains = [gain(run, row, f"expert {name}") for name, row in run.finals.items()]
        return Section("Mixture", [*gains, *(weight(run, name) for name in weighed), agreement(run)])
    before = ResultRow("phase1", experts[0])
    if before == run.result or before not in run.rows:
        return None
    return Section("Gain of phase 2", [gain(run, before, "phase 1")])


def gain(run: EvaluatedRun, row: ResultRow, name: str) -> Plot:
    """Draw how many points of accuracy the result gains over another row, class by class."""
    values = run.classes.accuracy[run.result] - run.classes.accuracy[row]
    figure, ax, tooltips = class_plot(run, values, "{:+.0f} points", "gain, points")
    most = 1.08 * max(np.nanmax(np.abs(values), initial=0), 5)
    ax.axhline(0, color=INK, linewidth=0.9)
    ax.set_ylim(-most, most)
    caption = f"Above the line, {run.result.title} recognizes a class better than {row.title}; below, worse."
    return Plot(figure, f"Gain of {run.result.title} over {name}", changes(run, values), caption, tooltips)


def changes(run: EvaluatedRun, values: np.ndarray) -> str:
    """Return how many classes gain and lose, and which the most."""
    better, worse, equal = (values > 0).sum(), (values < 0).sum(), (values == 0).sum()
    counts = f"Classes: {better:,} better, {worse:,} worse, {equal:,} equal."
    ends = {"Largest gains": _most(run, values, 1), "largest losses": _most(run, values, -1)}
    named = "; ".join(f"{what}: {found}" for what, found in ends.items() if found)
    return f"{counts} {named[0].upper()}{named[1:]}." if named else counts


def weight(run: EvaluatedRun, name: str) -> Plot:
    """Draw the mean scorer weight of an expert on each class."""
    values = mean_by_class(run.predictions.weights[name], run.predictions.labels, len(run.classes.names))
    experts, weights = list(run.settings.experts), run.metrics["scorer_weights"]
    figure, ax, tooltips = class_plot(run, values, "weight {:.2f}", f"mean weight of expert {name}")
    ax.axhline(1 / len(experts), color=INK, linewidth=0.9)
    ax.set_ylim(-0.03, 1.03)
    means = [f"{shot} {weights[shot][name]:.2f}" for shot in SHOTS if weights[shot][name] is not None]
    rest = f" The weight of {experts[1]} is 1 minus this." if len(experts) == 2 else ""
    caption = (
        f"The horizontal line is the plain average. A slope means that the scorer prefers {name} for frequent or for"
        f" rare classes.{rest}"
    )
    constant = "".join(f" {sentence}" for sentence in constant_scorer(run.metrics))
    finding = f"Mean weight by shot: {', '.join(means)}.{constant}"
    return Plot(figure, f"Scorer weight of expert {name}", finding, caption, tooltips)


def mean_by_class(values: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    """Return the mean (C,) of image values (n,) over the images of each class, nan without images."""
    images = np.bincount(labels, minlength=classes)
    return np.bincount(labels, values, classes) / np.where(images, images, np.nan)


def _most(run: EvaluatedRun, values: np.ndarray, sign: int) -> str:
    """Return the classes with the largest values of a sign."""
    signs = np.nan_to_num(sign * values)
    order = [index for index in np.argsort(-signs, kind="stable")[:NAMED] if signs[index] > 0]
    tested = [counted(int(run.classes.tested[index]), "image") for index in order]
    named = zip(order, tested, strict=True)
    return ", ".join(f"{run.classes.names[index]} ({signed(values[index], 0)}, {images})" for index, images in named)


def agreement(run: EvaluatedRun) -> Table:
    """Return, for each set of experts that are correct, the share of such images and the accuracy of the result."""
    of = run.predictions
    right = np.stack([of.predicted[row] == of.labels for row in run.finals.values()], axis=1)  # (n, E)
    result = of.predicted[run.result] == of.labels
    rows = [
        [
            Cell(_experts(list(run.finals), kind)),
            number(percent(100 * here.mean(), 1)),
            number(percent(100 * result[here].mean(), 1)),
        ]
        for kind in np.unique(right, axis=0)[::-1]
        if (here := (right == kind).all(1)).any()
    ]
    headings = ["correct experts", "images", f"accuracy of {run.result.title}"]
    share, images = percent(100 * right.any(1).mean(), 1), counted(len(right), "image")
    caption = (
        f"At least one expert is correct on {share} of the {images}. If only one is, a high accuracy means that the"
        " mixture follows the correct expert."
    )
    return Table("Agreement of the experts", headings, rows, caption)


def _experts(names: list[str], right: np.ndarray) -> str:
    if right.all():
        return "all"
    return " and ".join(name for name, so in zip(names, right, strict=True) if so) + " only" if right.any() else "none"
