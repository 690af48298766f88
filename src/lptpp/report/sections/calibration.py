"""Calibration: how well the probabilities match the accuracy."""

import numpy as np

from lptpp.evaluation.findings import leaning
from lptpp.evaluation.intervals import few_tested
from lptpp.evaluation.metrics import calibration_bins
from lptpp.evaluation.table import MISSING, ResultRow
from lptpp.report.gather import EvaluatedRun
from lptpp.report.section import Cell, Plot, Section, Table, number
from lptpp.report.style import INK, MUTED, plain_figure
from lptpp.report.text import interval_text, percent
from lptpp.utils.text import counted

BAR, SHARE = "#9db4c8", "#c9d3dc"
THRESHOLDS = (0.0, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95)


def section(run: EvaluatedRun) -> Section:
    """Return the section on calibration: of the result, and of each row with test-time options."""
    rows = [row for row in run.rows if row.plain == run.result]
    return Section("Calibration", [*(reliability(run, row) for row in rows), rejection(run)])


def reliability(run: EvaluatedRun, row: ResultRow) -> Plot:
    """Draw a reliability diagram, and below it the images per bin."""
    confidence, correct = run.predictions.confidence[row], run.predictions.predicted[row] == run.predictions.labels
    images, right, total = calibration_bins(confidence, correct)
    filled, width = np.flatnonzero(images), 1 / len(images)
    middle = (filled + 0.5) * width
    figure = plain_figure(height=3.8)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    above.bar(middle, 100 * right[filled] / images[filled], 0.92 * width, color=BAR, label="accuracy")
    ends = (middle - 0.46 * width, middle + 0.46 * width)
    above.hlines(100 * total[filled] / images[filled], *ends, color=INK, linewidth=2.2, label="mean probability")
    above.plot([0, 1], [0, 100], color=MUTED, linewidth=0.9, linestyle=(0, (4, 3)))
    above.set(ylim=(0, 100), ylabel="%")
    figure.legend(loc="outside upper right", ncols=2)
    below.bar(middle, 100 * images[filled] / len(confidence), 0.92 * width, color=SHARE)
    below.set(xlim=(0, 1), xlabel="probability of the predicted class", ylabel="images, %")
    caption = (
        "Images are binned by the probability of the predicted class. Bars are the accuracy in each bin; a dark line"
        " above its bar means overconfidence. Bottom: share of the images in each bin."
    )
    finding = confidence_verdict(confidence, correct, run.rows[row]["calibration_error"])
    return Plot(figure, f"Reliability of {row.title}", finding, caption)


def confidence_verdict(confidence: np.ndarray, correct: np.ndarray, error: float) -> str:
    """Return whether the probabilities are too high or too low on average, and the calibration error."""
    mean, accuracy = 100 * confidence.mean(), 100 * correct.mean()
    verdict = leaning(mean, accuracy, len(correct))
    means = f"Mean probability {percent(mean, 1)}, accuracy {percent(accuracy, 1)}: {verdict} on average."
    return f"{means} Expected calibration error {percent(error, 1)}."


def rejection(run: EvaluatedRun) -> Table:
    """Return the share and the accuracy of the predictions that are kept at several probability thresholds."""
    confidence = run.predictions.confidence[run.result]
    correct = run.predictions.predicted[run.result] == run.predictions.labels
    rows = [_kept(threshold, correct[confidence >= threshold], len(correct)) for threshold in THRESHOLDS]
    headings = ["threshold", "kept", "images", "errors", "accuracy", "95% interval"]
    caption = (
        "Predictions with a lower probability are rejected, as with the threshold option of lptpp predict. If errors"
        " are costly, use the lowest threshold whose interval, not only its accuracy, starts high enough."
        f" {basis(run, correct)}"
    )
    return Table("Rejecting uncertain predictions", headings, rows, caption)


def _kept(threshold: float, correct: np.ndarray, images: int) -> list[Cell]:
    """Return the row of a threshold; correct: (k,) whether each of the kept predictions is right, of `images`."""
    kept = len(correct)
    accuracy = 100 * correct.mean() if kept else None
    found = interval_text(accuracy, kept) if accuracy is not None else MISSING
    texts = [f"{threshold:.2f}", percent(100 * kept / images, 1), f"{kept:,}", f"{(~correct).sum():,}"]
    return [number(text) for text in (*texts, percent(accuracy, 1), found)]


def basis(run: EvaluatedRun, correct: np.ndarray) -> str:
    """Return on how many images the thresholds rest, with a warning if they are few."""
    errors = counted((~correct).sum(), "error")
    text = f"The table rests on {counted(len(correct), 'image')} of {run.place} with {errors}"
    if few_tested(run.classes.tested):
        text += ": too few to promise an accuracy"
    return f"{text}. Images from another source are often recognized less well: check a threshold on labeled ones."
