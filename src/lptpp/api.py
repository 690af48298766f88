"""What is done with a run as a whole, and with its report."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lptpp.config import Settings
from lptpp.evaluation.run import evaluate_run
from lptpp.report.page import REPORT, write_report
from lptpp.training import fit as training


def fit(settings: Settings) -> dict[str, Any]:
    """Train all phases, write the report, and return the metrics; a finished run is left as it is.

    Raises `UserError` for whatever a user can fix, `Interrupted` after saving if the user stopped the run.
    """
    fitted = training.fit(settings)
    if fitted.trained or not (Path(settings.run) / REPORT).is_file():
        write_report(Path(settings.run), fitted.collection)
    return fitted.metrics


def evaluate(run: Path, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """Write the evaluation files and the report of a finished run again, and return its metrics."""
    metrics, collection = evaluate_run(run, overrides)
    write_report(run, collection)
    return metrics
