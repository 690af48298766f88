"""The most frequent confusions."""

import numpy as np

from lptpp.evaluation.metrics import confusion
from lptpp.report.gather import EvaluatedRun
from lptpp.report.section import Section, Table, class_cell, number
from lptpp.report.text import counted, percent

SHOWN = 15


def section(run: EvaluatedRun) -> Section | None:
    """Return the section on confusions; None if all predictions are correct."""
    predicted, labels = run.predictions.predicted[run.result], run.predictions.labels
    wrong = predicted != labels
    if not wrong.any():
        return None
    tables = [pairs(run, predicted, labels), false_positives(run, predicted, labels)]
    return Section("Confusions", tables, direction(run, predicted[wrong], labels[wrong]))


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
    caption = f"{len(rows)} of {counted(len(wrong), 'pair')}; confusion.csv contains all."
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
    upwards = 100 * (run.classes.counts[predicted] > run.classes.counts[labels]).mean()
    return (
        f"Of {counted(len(predicted), 'error')}, {percent(upwards)} predict a class with more training images than the"
        " true class. Far above 50 %, the model is biased towards frequent classes; far below, towards rare ones."
    )
