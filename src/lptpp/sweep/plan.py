"""The plan of a sweep: settings, search space and objective, fixed when it starts and checked when it resumes."""

import json
from dataclasses import dataclass
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any

from lptpp.config import Settings, flat, load_settings, to_dictionary
from lptpp.config.methods import fixed_settings
from lptpp.config.trained import FREE
from lptpp.data.prepare import load_dataset
from lptpp.evaluation.table import AVERAGE, COLUMNS, MIXTURE, PHASES, ResultRow
from lptpp.sweep.space import Space, corners, read_space
from lptpp.utils.disk import make_folder
from lptpp.utils.errors import UserError, did_you_mean
from lptpp.utils.io import write_json

FIXED = ("evaluation.split=validation", "evaluation.baselines=[]")  # the test split is never used


@dataclass(frozen=True)
class Plan:
    """Settings, search space and objective of the sweep in a folder."""

    config: str
    overrides: tuple[str, ...]
    space: Space
    metric: str
    row: str | None  # of the shot table; None for the result of the run
    folder: Path

    def settings(self, trial: tuple[str, ...], run: Path, fixed: tuple[str, ...] = FIXED) -> Settings:
        """Return the settings of the run of a trial, given its overrides."""
        return load_settings(self.config, [*self.overrides, *trial, *fixed, f"run={run}"])

    def objective(self, metrics: dict[str, Any]) -> float:
        """Return the objective value of a run.

        Raises:
            UserError: its metrics do not have it.
        """
        rows, row = metrics["rows"], self.row or metrics["result"]
        if row not in rows:
            raise UserError(f"--row {row}: {did_you_mean(row, rows)}")
        if rows[row][self.metric] is None:
            raise UserError(f"--metric {self.metric}: the validation split has no images of such classes.")
        return rows[row][self.metric]


def make_plan(config: str, overrides: tuple[str, ...], space: Path, metric: str, row: str | None, folder: Path) -> Plan:
    """Return a plan that was checked as far as possible before the first trial.

    Raises:
        UserError: an unknown setting, value, metric or row, or a data set without a validation split.
    """
    plan = Plan(config, overrides, read_space(space), metric, row, folder)
    for override in overrides:
        if override.startswith(("run=", "evaluation.split=")):
            raise UserError(f"{override}: a sweep writes to --output and evaluates on the validation split; remove it.")
    base = plan.settings((), folder)
    _check_not_fixed(base, " ".join(overrides))
    _check_objective(plan, base)
    _check_corners(plan, space)
    if not len(load_dataset(base).splits().get("validation", ())):
        raise UserError("the data set has no validation split; provide one or set data.validation=0.2.")
    return plan


def begin(plan: Plan) -> None:
    """Write the plan to sweep.json, or compare it with the existing one.

    Raises:
        UserError: the folder belongs to another sweep.
    """
    settings = flat(to_dictionary(plan.settings((), plan.folder)))
    now = {
        "settings": {key: value for key, value in settings.items() if key not in FREE},
        "space": {key: str(distribution) for key, distribution in plan.space.items()},
        "objective": {"row": plan.row, "metric": plan.metric},
    }
    path = plan.folder / "sweep.json"
    if not path.is_file():
        make_folder(plan.folder)
        write_json(path, now)
        return
    before = flat(_read(path))
    changed = [key for key, value in flat(now).items() if before.pop(key, "nothing") != value] + list(before)
    if changed:
        raise UserError(f"--output: {plan.folder} belongs to another sweep ({changed[0]} differs); choose another.")


def _read(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError, RecursionError) as error:
        raise UserError(
            f"{path} is damaged ({error}); delete it to resume the sweep with the present settings."
        ) from error


def _check_objective(plan: Plan, base: Settings) -> None:
    if plan.metric not in COLUMNS:
        raise UserError(f"--metric {plan.metric}: {did_you_mean(plan.metric, COLUMNS)}")
    phases = [ResultRow(phase, name) for name in base.experts for phase in PHASES]
    rows = [str(row) for row in (*phases, AVERAGE, MIXTURE)]
    if plan.row not in (None, *rows):
        raise UserError(f"--row {plan.row}: {did_you_mean(str(plan.row), rows)}")


def _check_corners(plan: Plan, space: Path) -> None:
    for key, distribution in plan.space.items():
        for corner in corners(key, distribution):
            try:
                _check_not_fixed(plan.settings((corner,), plan.folder), corner)
            except UserError as error:
                raise UserError(f"{space}: {corner}: {error}") from error


def _check_not_fixed(settings: Settings, where: str) -> None:
    """Raise `UserError` if the method would override these settings when they are read from best.yaml."""
    found = to_dictionary(settings)
    for key, value in fixed_settings(settings.method, settings.experts).items():
        if reduce(getitem, key.split("."), found) != value:
            raise UserError(f"{where}: fixed by method={settings.method}; remove it or choose another method.")
