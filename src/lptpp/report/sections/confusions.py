"""The most frequent confusions."""

import numpy as np

from lptpp.evaluation.metrics import confusion
from lptpp.report.gather import EvaluatedRun
from lptpp.report.section import Plot, Section, Table, class_cell, number
from lptpp.report.sections.groups import HEAT
from lptpp.report.style import COLORS, panel
from lptpp.report.text import percent, shortened
from lptpp.utils.text import counted

SHOWN = 15
LARGEST_MATRIX = 50  # classes
FEW_ERRORS = 20  # fewer are counted: their percentage shows no bias
LONGEST = 40  # characters of a class name in the matrix


def section(run: EvaluatedRun) -> Section | None:
    """Return the section on confusions; None if all predictions are correct."""
    predicted, labels = run.predictions.predicted[run.result], run.predictions.labels
    wrong = predicted != labels
    if not wrong.any():
        return None
    matrix = [confusion_matrix(run, predicted, labels)] if len(run.classes.names) <= LARGEST_MATRIX else []
    tables = [pairs(run, predicted, labels), false_positives(run, predicted, labels)]
    return Section("Confusions", [*matrix, *tables], direction(run, predicted[wrong], labels[wrong]))


def confusion_matrix(run: EvaluatedRun, predicted: np.ndarray, labels: np.ndarray) -> Plot:
    """Draw the share of the images of each true class (rows) that is predicted as each class (columns)."""
    names, classes = run.classes.names, len(run.classes.names)
    order = np.argsort(-run.classes.counts, kind="stable")
    images = np.bincount(labels * classes + predicted, minlength=classes**2).reshape(classes, classes)
    shares = 100 * images / np.maximum(images.sum(1, keepdims=True), 1)  # (C, C)
    ticks = [shortened(names[index], LONGEST) for index in order]
    figure, ax = panel(9, 1.6 + 0.06 * max(map(len, ticks)) + 0.135 * max(classes, 10))
    shown = ax.imshow(shares[order][:, order], cmap=HEAT, vmin=0, vmax=100, aspect="auto", interpolation="none")
    ax.grid(False)
    ax.set_yticks(range(classes), ticks, fontsize=7.5)
    ax.set_xticks(range(classes), ticks, fontsize=7.5, rotation=90)
    ax.set(xlabel="predicted class", ylabel="true class")
    ax.tick_params(length=0)
    for labels_of in (ax.get_xticklabels(), ax.get_yticklabels()):
        for label, index in zip(labels_of, order, strict=True):
            label.set_color(COLORS[run.classes.shots[index]])
    figure.colorbar(shown, ax=ax, label="images of the true class, %", shrink=0.6, aspect=40)
    correct = 100 * (predicted == labels).mean()
    finding = (
        f"{percent(correct, 1)} of the {counted(len(labels), 'image')} are on the diagonal: their class is recognized."
    )
    caption = (
        "Classes are sorted by training images, largest first, and colored by shot. A dark column far from the diagonal"
        " is a class that others are mistaken for; a row without color has no test images."
    )
    return Plot(figure, "Confusion matrix", finding, caption, style="wide")


def pairs(run: EvaluatedRun, predicted: np.ndarray, labels: np.ndarray) -> Table:
    """Return the most frequent pairs of true and predicted class."""
    wrong = [pair for pair in confusion(predicted, labels) if pair[0] != pair[1]]
    names, shots, tested = run.classes.names, run.classes.shots, run.classes.tested
    rows = [
        [
            class_cell(names[true], shots[true]),
            class_cell(names[other], shots[other]),
            number(f"{images:,}"),
            number(percent(100 * images / tested[true])),
        ]
        for true, other, images in wrong[:SHOWN]
    ]
    shown = f"Showing {len(rows)} of {counted(len(wrong), 'pair')}. " if len(rows) < len(wrong) else ""
    caption = f"{shown}confusion.csv contains all pairs."
    headings = ["true class", "predicted class", "images", "share of the true class"]
    return Table("Most confused pairs", headings, rows, caption)


def false_positives(run: EvaluatedRun, predicted: np.ndarray, labels: np.ndarray) -> Table:
    """Return the classes that are most often predicted wrongly."""
    names, shots, classes = run.classes.names, run.classes.shots, len(run.classes.names)
    total = np.bincount(predicted, minlength=classes)
    wrong = np.bincount(predicted[predicted != labels], minlength=classes)
    rows = [
        [class_cell(names[i], shots[i]), number(f"{wrong[i]:,}"), number(percent(100 - 100 * wrong[i] / total[i]))]
        for i in np.argsort(-wrong, kind="stable")[:SHOWN]
        if wrong[i]
    ]
    caption = "Precision: share of the images predicted as this class that belong to it."
    return Table(
        "Classes with most false positives", ["predicted class", "false positives", "precision"], rows, caption
    )


def direction(run: EvaluatedRun, predicted: np.ndarray, labels: np.ndarray) -> str:
    """Return how often a wrong prediction is a class with more training images than the true class."""
    upwards = run.classes.counts[predicted] > run.classes.counts[labels]
    if len(predicted) < FEW_ERRORS:
        return f"{_errors(int(upwards.sum()), len(predicted))} a class with more training images than the true class."
    return (
        f"Of {counted(len(predicted), 'error')}, {percent(100 * upwards.mean())} predict a class with more training"
        " images than the true class. Far above 50%, the model is biased toward frequent classes; far below, toward"
        " rare ones."
    )


def _errors(some: int, errors: int) -> str:
    """Return a subject with its verb for some of a few errors, such as: None of the 3 errors predicts."""
    if errors == 1:
        return f"The only error {'predicts' if some else 'does not predict'}"
    if some == errors:
        return f"{'Both' if errors == 2 else f'All {errors}'} errors predict"
    return f"{some or 'None'} of the {errors} errors {'predict' if some > 1 else 'predicts'}"
