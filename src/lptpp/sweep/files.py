"""The output files of a sweep: trials.csv and best.yaml."""

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lptpp.config import to_yaml
from lptpp.sweep.plan import Plan
from lptpp.sweep.study import Study, Trial
from lptpp.utils.disk import atomic_write
from lptpp.utils.io import write_csv

REASON = "failed.txt"  # in the folder of a failed trial


def run_folder(plan: Plan, trial: Trial) -> Path:
    """Return the run folder of a trial."""
    return plan.folder / f"trial-{trial.number:03d}"


def write_trials(plan: Plan, study: Study) -> None:
    """Write trials.csv: a row per trial with its state, value, reason of failure and settings."""
    columns = ["trial", "state", plan.metric, "reason", *plan.space]
    write_csv(plan.folder / "trials.csv", _rows(plan, study.trials()), columns)


def write_best(plan: Plan, trial: Trial) -> None:
    """Write best.yaml: the complete settings of the best trial, evaluated on the split that the config names."""
    settings = plan.settings(trial.overrides, plan.folder / "best", fixed=())
    command = shlex.join(["lptpp", "fit", plan.config, *plan.overrides, *trial.overrides])
    header = [
        f"Trial {trial.number} of the sweep: {plan.metric} {trial.value:.2f} on the validation split.",
        f"lptpp fit {plan.folder / 'best.yaml'}",
        f"Equivalent: {command}",
    ]
    with atomic_write(plan.folder / "best.yaml") as file:
        file.writelines(f"# {line}\n" for line in header)
        file.write(to_yaml(settings))


def _rows(plan: Plan, trials: list[Trial]) -> Iterator[dict[str, Any]]:
    for trial in trials:
        path = run_folder(plan, trial) / REASON
        yield {
            "trial": trial.number,
            "state": trial.state,
            plan.metric: trial.value,
            "reason": path.read_text(encoding="utf-8") if trial.state == "failed" and path.is_file() else "",
            **dict.fromkeys(plan.space, ""),
            **dict(one.split("=", 1) for one in trial.overrides),
        }
