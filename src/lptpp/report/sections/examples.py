"""Pictures that the answer gets right, and that it gets wrong, with what each expert said."""

from collections.abc import Iterable

import numpy as np

from lptpp.report.gather import Run
from lptpp.report.section import Example, RowPrediction, Section, Strip
from lptpp.report.text import counted
from lptpp.report.thumbnails import thumbnails

SHOWN = 6  # pictures in a strip


def section(run: Run) -> Section:
    """Return the part with the pictures."""
    chosen = choose(run)
    found = thumbnails(run, np.unique(np.concatenate([np.asarray(one, dtype=int) for one in chosen.values()])))
    strips = [
        Strip(title, READINGS[title], [_example(run, image, found.get(image)) for image in images])
        for title, images in chosen.items()
        if len(images)
    ]
    note, command = _missing(run, found, chosen)
    return Section("Pictures", strips, INTRO, note, command)


INTRO = "Under each picture: its true class, then what the answer and each expert said. No class comes twice in a row."
READINGS = {
    "Right and sure": "Where the answer is right and its probability highest.",
    "Worst": "Where the true class got the lowest probability, apart from those below.",
    "Wrong and sure": "Where the answer is wrong and its probability highest: look for wrong labels and look-alikes.",
}


def choose(run: Run) -> dict[str, list[int]]:
    """Return the images of each strip, by its title; no strip of the worst where a run folder lacks what it needs."""
    of, result = run.predictions, run.result
    right = of.predicted[result] == of.labels
    sure = np.argsort(-of.sure[result], kind="stable")
    wrong_and_sure = _one_a_class(sure[~right[sure]], of.labels)
    found = {"Right and sure": _one_a_class(sure[right[sure]], of.labels)}
    if of.truth is not None:
        worst = np.argsort(of.truth, kind="stable")
        found["Worst"] = _one_a_class((i for i in worst if not right[i] and i not in wrong_and_sure), of.labels)
    return {**found, "Wrong and sure": wrong_and_sure}


def _one_a_class(images: Iterable[int], labels: np.ndarray) -> list[int]:
    """Return the first images of different classes."""
    found: dict[int, int] = {}
    for image in images:
        found.setdefault(int(labels[image]), int(image))
        if len(found) == SHOWN:
            break
    return list(found.values())


def _example(run: Run, image: int, picture: str | None) -> Example:
    of, names = run.predictions, run.classes.names
    label = of.labels[image]
    experts = [
        _row_prediction(run, image, row, name, of.weights[name][image] if len(run.finals) > 1 else None)
        for name, row in run.finals.items()
        if row != run.result
    ]
    return Example(
        picture,
        of.images[image],
        names[label],
        str(run.classes.shots[label]),
        int(run.classes.counts[label]),
        None if of.truth is None else float(of.truth[image]),
        [_row_prediction(run, image, run.result, run.result, None), *experts],
    )


def _row_prediction(run: Run, image: int, row: str, name: str, weight: float | None) -> RowPrediction:
    of = run.predictions
    predicted = of.predicted[row][image]
    return RowPrediction(
        name, run.classes.names[predicted], float(of.sure[row][image]), bool(predicted == of.labels[image]), weight
    )


def _missing(run: Run, found: dict[int, str], chosen: dict[str, list[int]]) -> tuple[str, str]:
    """Return what cannot be shown, and the command that mends it."""
    gone = len({image for images in chosen.values() for image in images}) - len(found)
    if run.pictures is None and gone:
        return f"The pictures cannot be shown: {run.why_no_pictures}", ""
    if run.predictions.truth is None:
        message = "predictions.csv lacks the probability of the true class, by which the worst are found. This adds it:"
        return message, f"lptpp evaluate {run.folder}"
    return f"{counted(gone, 'picture')} cannot be read any more." if gone else "", ""
