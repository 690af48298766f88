"""A sweep: one run after the other on the training part, each judged on the validation part, never on the test part."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from lptpp.api import fit
from lptpp.sweep.files import REASON, run_folder, write_best, write_trials
from lptpp.sweep.plan import Plan, begin
from lptpp.sweep.study import Study, Trial
from lptpp.utils.errors import UserError

log = logging.getLogger("lptpp")
MINIMISED = ("calibration_error",)


def sweep(plan: Plan, trials: int) -> Trial:
    """Run trials until the sweep has so many, and return the best; goes on where it was stopped.

    A trial that ends in a `UserError` counts as failed, with its reason in trials.csv, and the sweep goes on.
    Raises `UserError` where the folder holds another sweep or none of its trials gave a number, `Interrupted` where
    the user stopped it.
    """
    if trials < 1:
        raise UserError(f"--trials {trials}: expected 1 or more.")
    begin(plan)
    with _alone(plan.folder):
        seed = plan.settings((), plan.folder).seed
        study = Study(plan.folder / "study.jsonl", plan.space, plan.metric in MINIMISED, seed)
        _run_all(plan, study, trials)
        best = study.best()
    if best is None:
        raise UserError(f"None of the {trials} trials gave a number: {plan.folder / 'trials.csv'} says why.")
    return best


def _run_all(plan: Plan, study: Study, total: int) -> None:
    took: list[float] = []
    for trial in study.due(total):
        log.info("Trial %d of %d: %s", trial.number, total, ", ".join(trial.tried))
        started = time.monotonic()
        value = _judged(plan, trial)
        study.finish(trial, value)
        took.append(time.monotonic() - started)
        write_trials(plan, study)
        best = study.best()
        if best is not None:
            write_best(plan, best)
        ended = "failed" if value is None else f"{plan.metric} {value:.2f}"
        left = (total - trial.number) * sum(took) / len(took) / 60
        log.info("Trial %d: %s; best %s; about %.0f min left.", trial.number, ended, _told(plan, best), left)


def _judged(plan: Plan, trial: Trial) -> float | None:
    """Return the objective of a trial's run, None where it failed for a reason that is then written down."""
    folder = run_folder(plan, trial)
    try:
        return plan.objective(fit(plan.settings(trial.tried, folder)))
    except UserError as error:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / REASON).write_text(str(error), encoding="utf-8")
        log.warning("Trial %d failed: %s", trial.number, error)
        return None


def _told(plan: Plan, best: Trial | None) -> str:
    return "none yet" if best is None else f"{best.value:.2f} (trial {best.number})"


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    lock = FileLock(folder / "sweep.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise UserError(f"Another lptpp runs the sweep in {folder}: wait for it, or give another --output.") from None
    try:
        yield
    finally:
        lock.release()
