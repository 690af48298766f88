"""The mixture: where it is better than each of its parts, and whom the scorer trusts."""

import numpy as np

from lptpp.report.class_scatter import class_plot
from lptpp.report.gather import Run
from lptpp.report.section import Cell, Plate, Section, Table, number
from lptpp.report.style import INK, SHOTS
from lptpp.report.text import percent, signed


def agreement(run: Run) -> Table:
    """Return for each set of experts that are right how many images that is, and how often the answer is."""
    of = run.predictions
    right = np.stack([of.predicted[row] == of.labels for row in run.finals.values()], axis=1)  # (n, E)
    result = of.predicted[run.result] == of.labels
    rows = [
        [
            Cell(_told(list(run.finals), kind)),
            number(percent(100 * here.mean(), 1)),
            number(percent(100 * result[here].mean(), 1)),
        ]
        for kind in np.unique(right, axis=0)[::-1]
        if (here := (right == kind).all(1)).any()
    ]
    headings = ["experts that are right", "of the images", f"{run.result} is right"]
    reading = (
        f"Some expert is right on {percent(100 * right.any(1).mean(), 1)} of the images. Where only one of them is, a"
        " high number in the last column says that the scorer knows whom to trust."
    )
    return Table("When the experts disagree", headings, rows, reading)


def _told(names: list[str], right: np.ndarray) -> str:
    if right.all():
        return "all"
    return " and ".join(name for name, so in zip(names, right, strict=True) if so) + " only" if right.any() else "none"


NAMED = 3  # classes named of those that gain and lose most


def section(run: Run) -> Section | None:
    """Return the part on the mixture; for one expert alone, what its group prompts add; None where it has none."""
    experts = list(run.settings.experts)
    if len(experts) > 1:
        weighed = experts[:1] if len(experts) == 2 else experts  # of two, the second's weight is the rest
        gains = [gain(run, row, name) for name, row in run.finals.items()]
        return Section("The mixture", [*gains, *(weight(run, name) for name in weighed), agreement(run)])
    before = f"{experts[0]}, phase 1"
    if before == run.result or before not in run.metrics["rows"]:
        return None
    return Section("The group prompts", [gain(run, before, "phase 1")])


def gain(run: Run, row: str, name: str) -> Plate:
    """Draw how many points of accuracy the answer adds to another row, class by class."""
    values = run.classes.accuracy[run.result] - run.classes.accuracy[row]
    figure, ax, tips = class_plot(run, values, "{:+.0f} points", "gain, points")
    most = 1.08 * max(np.nanmax(np.abs(values), initial=0), 5)
    ax.axhline(0, color=INK, linewidth=0.9)
    ax.set_ylim(-most, most)
    reading = f"Above the line {run.result} recognizes a class better than {row}, below it worse."
    return Plate(figure, f"Gain of {run.result} over {name}", gain_told(run, values), reading, tips)


def gain_told(run: Run, values: np.ndarray) -> str:
    """Return how many classes gain and lose, and which most."""
    better, worse, equal = (values > 0).sum(), (values < 0).sum(), (values == 0).sum()
    message = f"Better on {better:,} classes, worse on {worse:,}, the same on {equal:,}."
    named = [
        f"{words} most: {found}" for sign, words in ((1, "Gains"), (-1, "loses")) if (found := _most(run, values, sign))
    ]
    return f"{message} {'; '.join(named)}." if named else message


def weight(run: Run, name: str) -> Plate:
    """Draw the scorer's mean weight for an expert on each class."""
    values = mean_by_class(run.predictions.weights[name], run.predictions.labels, len(run.classes.names))
    experts, weights = list(run.settings.experts), run.metrics["scorer_weights"]
    figure, ax, tips = class_plot(run, values, "weight {:.2f}", f"mean weight of {name}")
    ax.axhline(1 / len(experts), color=INK, linewidth=0.9)
    ax.set_ylim(-0.03, 1.03)
    message = [f"{shot} {weights[shot][name]:.2f}" for shot in SHOTS if weights[shot][name] is not None]
    rest = f" What is left to 1 is the weight of {experts[1]}." if len(experts) == 2 else ""
    finding = f"Mean over the images of each shot: {', '.join(message)}."
    return Plate(figure, f"The scorer's weight for {name}", finding, (
        f"The horizontal line is the plain average. A slope says that the scorer trusts {name} more at one end of the"
        f" class frequencies.{rest}"
    ), tips)  # fmt: skip


def mean_by_class(values: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    """Return the mean (C,) of image values (n,) over the images of each class, nan where there is none."""
    images = np.bincount(labels, minlength=classes)
    return np.bincount(labels, values, classes) / np.where(images, images, np.nan)


def _most(run: Run, values: np.ndarray, sign: int) -> str:
    """Return the classes with the largest values of a sign."""
    signs = np.nan_to_num(sign * values)
    order = [index for index in np.argsort(-signs, kind="stable")[:NAMED] if signs[index] > 0]
    return ", ".join(f"{run.classes.names[index]} ({signed(values[index], 0)})" for index in order)
