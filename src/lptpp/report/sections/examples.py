"""Example images with correct and wrong predictions, and the prediction of each expert."""

from collections.abc import Iterable

import numpy as np

from lptpp.evaluation.table import ResultRow
from lptpp.report.gather import EvaluatedRun
from lptpp.report.section import ExampleImage, Gallery, RowPrediction, Section
from lptpp.report.thumbnails import thumbnails
from lptpp.utils.text import counted

SHOWN = 6  # images in a gallery
INTRO = (
    "Each image is shown with its true class and the predictions of the result and of each expert. A gallery has at"
    " most one image per class."
)
CORRECT, UNLIKELY, WRONG = "Most confident correct predictions", "Least probable true classes", "Most confident errors"
CAPTIONS = {
    CORRECT: "Correct predictions with the highest probability.",
    UNLIKELY: "Errors with the lowest probability of the true class, without those below.",
    WRONG: "Errors with the highest probability of the predicted class; check for label errors and look-alikes.",
}


def section(run: EvaluatedRun) -> Section:
    """Return the section with the images."""
    selected = select(run)
    images = {image for gallery in selected.values() for image in gallery}
    sources = thumbnails(run, sorted(images))
    galleries = [
        Gallery(title, CAPTIONS[title], [_example(run, image, sources.get(image)) for image in gallery])
        for title, gallery in selected.items()
        if gallery
    ]
    return Section("Example images", galleries, INTRO, _missing(run, len(images) - len(sources)))


def select(run: EvaluatedRun) -> dict[str, list[int]]:
    """Return the images of each gallery by its title."""
    of, result = run.predictions, run.result
    correct = of.predicted[result] == of.labels
    by_confidence = np.argsort(-of.confidence[result], kind="stable")
    wrong = _one_per_class(by_confidence[~correct[by_confidence]], of.labels)
    by_truth = np.argsort(of.truth, kind="stable")
    return {
        CORRECT: _one_per_class(by_confidence[correct[by_confidence]], of.labels),
        UNLIKELY: _one_per_class((i for i in by_truth if not correct[i] and i not in wrong), of.labels),
        WRONG: wrong,
    }


def _one_per_class(images: Iterable[int], labels: np.ndarray) -> list[int]:
    """Return the first images of different classes."""
    found: dict[int, int] = {}
    for image in images:
        found.setdefault(int(labels[image]), int(image))
        if len(found) == SHOWN:
            break
    return list(found.values())


def _example(run: EvaluatedRun, image: int, source: str | None) -> ExampleImage:
    of, names = run.predictions, run.classes.names
    label = of.labels[image]
    experts = [
        _row_prediction(run, image, row, name, of.weights[name][image] if len(run.finals) > 1 else None)
        for name, row in run.finals.items()
        if row != run.result
    ]
    return ExampleImage(
        source,
        of.images[image],
        names[label],
        str(run.classes.shots[label]),
        int(run.classes.counts[label]),
        float(of.truth[image]),
        [_row_prediction(run, image, run.result, run.result.title, None), *experts],
    )


def _row_prediction(run: EvaluatedRun, image: int, row: ResultRow, name: str, weight: float | None) -> RowPrediction:
    of = run.predictions
    label, correct = run.classes.names[of.predicted[row][image]], of.predicted[row][image] == of.labels[image]
    return RowPrediction(name, label, float(of.confidence[row][image]), bool(correct), weight)


def _missing(run: EvaluatedRun, number: int) -> str:
    """Return why images cannot be shown, if `number` of them cannot."""
    if run.images is None and number:
        return f"The images cannot be shown: {run.why_no_images}"
    return f"{counted(number, 'image')} cannot be read." if number else ""
