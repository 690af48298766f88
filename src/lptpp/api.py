"""Training and evaluation of a run, followed by its report."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lptpp.config import Settings
from lptpp.evaluation.new_images import evaluate_on as evaluate_on
from lptpp.evaluation.run import evaluate_run
from lptpp.report.page import REPORT, write_report
from lptpp.training import fit as training


def fit(settings: Settings) -> dict[str, Any]:
    """Train all phases, write the report, and return the metrics; a finished run is not trained again.

    Raises:
        UserError: wrong settings or data.
        Interrupted: the user stopped the run; it is saved.
    """
    fitted = training.fit(settings)
    if fitted.trained or not (Path(settings.run) / REPORT).is_file():
        write_report(Path(settings.run), fitted.collection)
    return fitted.metrics


def evaluate(run: Path, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """Evaluate a finished run, rewrite its evaluation files and report, and return its metrics."""
    metrics, collection = evaluate_run(run, overrides)
    write_report(run, collection)
    return metrics
