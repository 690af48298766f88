"""Run a sweep: one training run per trial, evaluated on the validation split, never on the test split."""

import logging
import time
from contextlib import AbstractContextManager
from pathlib import Path

from lptpp.api import fit
from lptpp.sweep.files import REASON, run_folder, write_best, write_trials
from lptpp.sweep.plan import Plan, begin
from lptpp.sweep.study import Study, Trial
from lptpp.utils.disk import make_folder
from lptpp.utils.errors import UserError
from lptpp.utils.io import locked, write_text

log = logging.getLogger("lptpp")
MINIMIZED = ("calibration_error",)


def sweep(plan: Plan, trials: int) -> Trial:
    """Run trials until the sweep has `trials` of them, and return the best; resumes an interrupted sweep.

    A trial that raises `UserError` is recorded as failed, with the reason in trials.csv, and the sweep continues.

    Raises:
        UserError: the folder belongs to another sweep, or all trials failed.
        Interrupted: the user stopped the sweep.
    """
    if trials < 1:
        raise UserError(f"--trials {trials}: expected 1 or more.")
    begin(plan)
    with _locked(plan.folder):
        seed = plan.settings((), plan.folder).seed
        study = Study(plan.folder / "study.jsonl", plan.space, plan.metric in MINIMIZED, seed)
        _run_all(plan, study, trials)
        best = study.best()
    if best is None:
        raise UserError(f"All {trials} trials failed; see {plan.folder / 'trials.csv'} for the reasons.")
    return best


def _run_all(plan: Plan, study: Study, total: int) -> None:
    seconds: list[float] = []
    for trial in study.due(total):
        log.info("Trial %d of %d: %s", trial.number, total, ", ".join(trial.overrides))
        started = time.monotonic()
        value = _run(plan, trial)
        study.finish(trial, value)
        seconds.append(time.monotonic() - started)
        _write_files(plan, study)
        outcome = "failed" if value is None else f"{plan.metric} {value:.2f}"
        left = (total - trial.number) * sum(seconds) / len(seconds) / 60
        log.info("Trial %d: %s; best %s; about %.0f min left", trial.number, outcome, _describe(study.best()), left)
    if not seconds:
        _write_files(plan, study)  # which a killed process may not have written


def _write_files(plan: Plan, study: Study) -> None:
    write_trials(plan, study)
    best = study.best()
    if best is not None:
        write_best(plan, best)


def _run(plan: Plan, trial: Trial) -> float | None:
    """Run a trial and return its objective value; None if it failed, with the reason in its folder."""
    folder = run_folder(plan, trial)
    try:
        return plan.objective(fit(plan.settings(trial.overrides, folder)))
    except UserError as error:
        make_folder(folder)
        write_text(folder / REASON, str(error))
        log.warning("Trial %d failed: %s", trial.number, error)
        return None


def _describe(best: Trial | None) -> str:
    return "none yet" if best is None else f"{best.value:.2f} (trial {best.number})"


def _locked(folder: Path) -> AbstractContextManager[None]:
    message = f"--output: another process runs the sweep in {folder}; wait or choose another."
    return locked(folder / "sweep.lock", message)
