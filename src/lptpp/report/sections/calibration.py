"""How far the probabilities can be believed."""

import numpy as np

from lptpp.evaluation.metrics import calibration_bins
from lptpp.report.gather import Run
from lptpp.report.section import Plate, Section, Table, number
from lptpp.report.style import INK, MUTED, plain_figure
from lptpp.report.text import percent

BAR, SHARE = "#9db4c8", "#c9d3dc"
LIMITS = (0.0, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95)


def section(run: Run) -> Section:
    """Return the part on calibration: of the answer, and of each row that an option at test time adds."""
    rows = [name for name in run.metrics["rows"] if name == run.result or name.startswith(f"{run.result}, ")]
    return Section("The probabilities", [*(diagram(run, row) for row in rows), limits(run)])


def diagram(run: Run, row: str) -> Plate:
    """Draw a reliability diagram, and under it how many images each bin holds."""
    sure, correct = run.predictions.sure[row], run.predictions.predicted[row] == run.predictions.labels
    images, right, total = calibration_bins(sure, correct)
    filled, width = np.flatnonzero(images), 1 / len(images)
    middle = (filled + 0.5) * width
    figure = plain_figure(height=3.8)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    above.bar(middle, 100 * right[filled] / images[filled], 0.92 * width, color=BAR, label="right")
    ends = (middle - 0.46 * width, middle + 0.46 * width)
    above.hlines(100 * total[filled] / images[filled], *ends, color=INK, linewidth=2.2, label="sure")
    above.plot([0, 1], [0, 100], color=MUTED, linewidth=0.9, linestyle=(0, (4, 3)))
    above.set(ylim=(0, 100), ylabel="of the images, %")
    above.legend(loc="upper left")
    below.bar(middle, 100 * images[filled] / len(sure), 0.92 * width, color=SHARE)
    below.set(xlim=(0, 1), xlabel="probability of the predicted class", ylabel="share, %")
    finding = message(sure, correct, run.metrics["rows"][row]["calibration_error"])
    return Plate(figure, f"Reliability of {row}", finding, (
        "Images are sorted by how sure the prediction is. A bar is how many of them are right; where the dark line is"
        " above it, the model is surer than it should be. Below: how many images are of each kind."
    ))  # fmt: skip


def message(sure: np.ndarray, correct: np.ndarray, error: float) -> str:
    """Return in a sentence whether the probabilities are too high or too low, and by how much."""
    average, right = 100 * sure.mean(), 100 * correct.mean()
    verdict = "too sure" if average - right > 1 else "not sure enough" if right - average > 1 else "as it should be"
    mean = f"On average {percent(average, 1)} sure and {percent(right, 1)} right: {verdict}."
    return f"{mean} Expected calibration error {percent(error, 1)}."


def limits(run: Run) -> Table:
    """Return how many images are left, and how many of them are right, where predictions below a limit are refused."""
    sure, correct = run.predictions.sure[run.result], run.predictions.predicted[run.result] == run.predictions.labels
    rows = []
    for limit in LIMITS:
        kept = sure >= limit
        right = percent(100 * correct[kept].mean() if kept.any() else None, 1)
        rows.append([number(f"{limit:.2f}"), number(percent(100 * kept.mean(), 1)), number(right)])
    reading = "Where a wrong answer costs more than none, take the first limit at which enough predictions are right."
    return Table("If unsure predictions are refused", ["least probability", "kept", "right of those"], rows, reading)
