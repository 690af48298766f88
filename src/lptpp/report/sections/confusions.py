"""What is taken for what."""

import numpy as np

from lptpp.evaluation.metrics import confusion
from lptpp.report.gather import Run
from lptpp.report.section import Section, Table, class_cell, number
from lptpp.report.text import percent

SHOWN = 15


def section(run: Run) -> Section | None:
    """Return the part on the most frequent confusions; None where all predictions are right."""
    predicted, labels = run.predictions.predicted[run.result], run.predictions.labels
    wrong = predicted != labels
    if not wrong.any():
        return None
    return Section(
        "The mistakes",
        [pairs(run, predicted, labels), takers(run, predicted, labels)],
        flow(run, predicted[wrong], labels[wrong]),
    )


def pairs(run: Run, predicted: np.ndarray, labels: np.ndarray) -> Table:
    """Return the most frequent pairs of true and predicted class."""
    wrong = [pair for pair in confusion(predicted, labels) if pair[0] != pair[1]]
    names, shots, tested = run.classes.names, run.classes.shots, run.classes.tested
    rows = [
        [
            class_cell(names[true], shots[true]),
            class_cell(names[taken], shots[taken]),
            number(f"{images:,}"),
            number(percent(100 * images / tested[true])),
        ]
        for true, taken, images in wrong[:SHOWN]
    ]
    reading = f"{len(rows)} of {len(wrong):,} pairs; confusion.csv holds all."
    return Table("The most confused pairs", ["true class", "taken for", "images", "of the class"], rows, reading)


def takers(run: Run, predicted: np.ndarray, labels: np.ndarray) -> Table:
    """Return the classes that most other images are taken for."""
    names, shots, classes = run.classes.names, run.classes.shots, len(run.classes.names)
    taken, wrong = (
        np.bincount(predicted, minlength=classes),
        np.bincount(predicted[predicted != labels], minlength=classes),
    )
    rows = [
        [class_cell(names[i], shots[i]), number(f"{wrong[i]:,}"), number(percent(100 - 100 * wrong[i] / taken[i]))]
        for i in np.argsort(-wrong, kind="stable")[:SHOWN]
        if wrong[i]
    ]
    reading = "Right when said: of the images that get this class, how many belong to it (its precision)."
    return Table("Classes that others are taken for", ["predicted class", "wrongly", "right when said"], rows, reading)


def flow(run: Run, predicted: np.ndarray, labels: np.ndarray) -> str:
    """Return in a sentence how often a wrong prediction is a class with more training images than the true one."""
    upwards = 100 * (run.classes.counts[predicted] > run.classes.counts[labels]).mean()
    return (
        f"{percent(upwards)} of the {len(predicted):,} mistakes take a picture for a class with more training images"
        " than its own: far above a half, the model leans to frequent classes; far below, to rare ones."
    )
