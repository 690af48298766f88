"""Training and evaluation of a run, followed by its report."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lptpp.config import Settings
from lptpp.evaluation import new_images
from lptpp.evaluation.run import evaluate_run
from lptpp.report.gather import NewImages
from lptpp.report.page import REPORT, write_report
from lptpp.training import fit as training
from lptpp.training import time_budget
from lptpp.utils import exchange, processes
from lptpp.utils.disk import keeping
from lptpp.utils.durations import parse_time


def fit_epochs(settings: Settings, duration: str) -> Settings:
    """Return the settings with the numbers of epochs that fit into a duration such as 20m.

    Raises:
        UserError: not a duration, or wrong settings or data.
    """
    return time_budget.fit_epochs(settings, parse_time(duration))


def warn_about_few_epochs(duration: str, settings: Settings, wanted: Settings) -> None:
    """Log a warning if a duration such as 20m left less than half of the epochs that the settings had, `wanted`."""
    time_budget.warn_about_few_epochs(parse_time(duration), settings, wanted)


def warn_about_overrun(duration: str, taken: float) -> None:
    """Log a warning if a command took `taken` seconds, more than a duration such as 20m."""
    time_budget.warn_about_overrun(parse_time(duration), taken)


def fit(settings: Settings) -> dict[str, Any]:
    """Train all phases, write the report, and return the metrics; a finished run is not trained again.

    Raises:
        UserError: wrong settings or data.
        Interrupted: the user stopped the run; it is saved.
        CannotWrite: the disk is full or read-only; the last checkpoint is kept.
    """
    with keeping("Training resumes from its last checkpoint, if there is one."):
        fitted = training.fit(settings)
        if processes.is_main() and (fitted.trained or not (Path(settings.run) / REPORT).is_file()):
            write_report(Path(settings.run), fitted.collection)
    exchange.barrier()
    return fitted.metrics


def evaluate(run: Path, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """Evaluate a finished run, rewrite its evaluation files and report, and return its metrics."""
    metrics, collection = evaluate_run(run, overrides)
    write_report(run, collection)
    return metrics


def evaluate_on(run: Path, on: Path, overrides: Sequence[str] = (), name: str | None = None) -> dict[str, Any]:
    """Evaluate a finished run on other labeled images, write a report, and return the metrics.

    See `lptpp.evaluation.new_images.evaluate_on`.
    """
    found = new_images.evaluate_on(run, on, overrides, name)
    write_report(run, new=NewImages(found.folder, found.images))
    return found.metrics
