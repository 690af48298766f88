"""Evaluate a finished run again, perhaps on another part or with other borders."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lptpp.errors import UserError
from lptpp.evaluation.report import write_evaluation
from lptpp.model import load, run_settings
from lptpp.prepare import checked, collection_of
from lptpp.reporting.page import write_report
from lptpp.training.fit import runner_of

log = logging.getLogger("lptpp")

CHANGEABLE = ("evaluation.", "device=", "workers=", "data.root=", "data.memory_gb=")


def evaluate_run(run: Path, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """Write the evaluation files and the report of a finished run again, and return its metrics.

    Raises `UserError` for a setting that training depended on, or where the folder holds no finished run.
    """
    for override in overrides:
        if not override.startswith(CHANGEABLE):
            told = ", ".join(key.rstrip("=") + ("*" if key.endswith(".") else "") for key in CHANGEABLE)
            raise UserError(f"{override} cannot change after training: evaluate takes {told}.")
    settings = run_settings(run, overrides)
    model = load(run, settings.device)
    collection = checked(collection_of(settings), settings, run / "skipped.csv")
    if collection.class_names != model.class_names:
        raise UserError(f"The classes under data.root are not those {run} was trained on: give its own data.root.")
    _warn_of_other_counts(run, model.counts, collection.counts())
    metrics = write_evaluation(settings, model.mixture, collection, runner_of(settings))
    write_report(run, collection)
    return metrics


def _warn_of_other_counts(run: Path, trained: np.ndarray, now: np.ndarray) -> None:
    """Warn where the classes have other training images now, (C,), than those that the run was trained on, (C,)."""
    if not np.array_equal(trained, now):
        log.warning(
            "%s was trained on %d images; its settings now give %d, or the same number in other classes. Shot groups"
            " and baselines follow the present ones: check data.root and data.factor.",
            *(run, trained.sum(), now.sum()),
        )
