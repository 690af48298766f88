"""A table of all classes to sort and search, with accuracies and the most frequent error; classes never recognized."""

import numpy as np

from lptpp.data.statistics import SHOTS
from lptpp.report.gather import EvaluatedRun
from lptpp.report.section import Cell, ClassTable, Preformatted, class_cell, number
from lptpp.report.text import percent
from lptpp.utils.text import counted

SHOWN = 50  # rows shown at once


def class_table(run: EvaluatedRun) -> ClassTable:
    """Return the table of all classes, least accurate first."""
    of, finals = run.classes, {name: row for name, row in run.finals.items() if row != run.result}
    errors = most_frequent_errors(run.predictions.predicted[run.result], run.predictions.labels, len(of.names))
    columns = [of.accuracy[run.result], *(of.accuracy[row] for row in finals.values())]
    order = np.lexsort((-of.counts, np.nan_to_num(columns[0], nan=101)))
    rows = [
        [
            of.names[index],
            SHOTS.index(of.shots[index]),
            int(of.counts[index]),
            int(of.tested[index]),
            *(None if np.isnan(values[index]) else round(float(values[index]), 1) for values in columns),
            *(errors.get(int(index)) or (None, 0)),
        ]
        for index in order
    ]
    names = [run.result.title, *finals]
    headings = ["class", "training images", "test images", *(f"{name}, %" for name in names), "predicted instead"]
    caption = (
        "Select a heading to sort. The last column has the most frequent wrong prediction of the result, and its"
        " images. per_class.csv has all rows of the shot table."
    )
    first = [_cells(row, of.names) for row in rows[:SHOWN]]
    return ClassTable("All classes", headings, first, rows, of.names, SHOWN, caption)


def _cells(row: list, names: list[str]) -> list[Cell]:
    name, shot, *numbers, other, images = row
    shown = [number(f"{value:,}") for value in numbers[:2]]
    shown += [number(percent(value)) for value in numbers[2:]]
    return [class_cell(name, SHOTS[shot]), *shown, Cell(f"{names[other]} ({images:,})" if images else "")]


def most_frequent_errors(predicted: np.ndarray, labels: np.ndarray, classes: int) -> dict[int, tuple[int, int]]:
    """Return the most frequent wrong prediction of each class, and its images; only classes with errors."""
    wrong = predicted != labels
    pairs, images = np.unique(labels[wrong].astype(np.int64) * classes + predicted[wrong], return_counts=True)
    order = np.argsort(images, kind="stable")  # the largest of a class is written last
    return {int(pairs[i] // classes): (int(pairs[i] % classes), int(images[i])) for i in order}


def never_recognized(run: EvaluatedRun) -> list[Preformatted]:
    """Return the names of the tested classes of which no image is recognized, by shot; nothing if there are none."""
    never = run.classes.accuracy[run.result] == 0
    lines = []
    for shot in SHOTS:
        indices = np.flatnonzero(never & (run.classes.shots == shot))
        names = [f"{run.classes.names[index]} ({run.classes.tested[index]:,})" for index in indices]
        lines += [f"{shot}-shot, {counted(len(names), 'class')}: {'; '.join(names)}"] if names else []
    title = f"Never recognized: {counted(int(never.sum()), 'class')} (and their test images)"
    return [Preformatted(title, "\n\n".join(lines))] if lines else []
