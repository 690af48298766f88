"""What a sweep tries and what it looks at: fixed when it begins, the same when it goes on."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from lptpp.checkpoint.identity import FREE
from lptpp.config import Settings, flat, load_settings, to_dictionary
from lptpp.config.methods import apply_method
from lptpp.data.prepare import collection_of
from lptpp.evaluation.evaluate import AVERAGE, MIXTURE
from lptpp.evaluation.table import COLUMNS
from lptpp.sweep.space import Space, corners, read_space
from lptpp.utils.errors import UserError, did_you_mean
from lptpp.utils.io import write_json

FIXED = ("evaluation.split=validation", "evaluation.baselines=[]")  # the test part is never looked at


@dataclass(frozen=True)
class Plan:
    """Settings, search space and objective of a sweep in a folder."""

    config: str
    overrides: tuple[str, ...]
    space: Space
    metric: str
    row: str | None  # of the shot table; None for the run's answer
    folder: Path

    def settings(self, tried: tuple[str, ...], run: Path, fixed: tuple[str, ...] = FIXED) -> Settings:
        """Return the settings of a run that tries some values."""
        return load_settings(self.config, [*self.overrides, *tried, *fixed, f"run={run}"])

    def objective(self, metrics: dict[str, Any]) -> float:
        """Return the number that a trial is judged by; `UserError` where its metrics have none."""
        rows, row = metrics["rows"], self.row or metrics["result"]
        if row not in rows:
            raise UserError(f"There is no row {row!r}: {did_you_mean(row, rows)}")
        if rows[row][self.metric] is None:
            raise UserError(f"{self.metric} is not known: the validation part holds no picture of such classes.")
        return rows[row][self.metric]


def make_plan(config: str, overrides: tuple[str, ...], space: Path, metric: str, row: str | None, folder: Path) -> Plan:
    """Return a checked plan; all that can be wrong with it is told before a trial begins.

    Raises `UserError` for an unknown setting, value, metric or row, and where the data have no validation part.
    """
    plan = Plan(config, overrides, read_space(space), metric, row, folder)
    for override in overrides:
        if override.startswith(("run=", "evaluation.split=")):
            raise UserError(f"{override} does not go with a sweep: it has its --output, and looks at validation alone.")
    base = plan.settings((), folder)
    _check_survives(base, " ".join(overrides))
    _check_objective(plan, base)
    _check_corners(plan, space)
    if not len(collection_of(base).parts().get("validation", ())):
        raise UserError("A sweep needs a validation part: give the data one, or draw it by data.validation=0.2.")
    return plan


def begin(plan: Plan) -> None:
    """Write the plan into the sweep's folder, or compare it with the one that is there.

    Raises `UserError` where the folder holds another sweep.
    """
    settings = flat(to_dictionary(plan.settings((), plan.folder)))
    now = {
        "settings": {key: value for key, value in settings.items() if key not in FREE},
        "space": {key: str(distribution) for key, distribution in plan.space.items()},
        "objective": {"row": plan.row, "metric": plan.metric},
    }
    path = plan.folder / "sweep.json"
    if not path.is_file():
        plan.folder.mkdir(parents=True, exist_ok=True)
        write_json(path, now)
        return
    before = flat(_read(path))
    changed = [key for key, value in flat(now).items() if before.pop(key, "nothing") != value] + list(before)
    if changed:
        raise UserError(f"{plan.folder} holds another sweep ({changed[0]} differs): choose another --output.")


def _read(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise UserError(
            f"{path} is damaged ({error}): delete it to go on with the sweep as it is given now."
        ) from error


def _check_objective(plan: Plan, base: Settings) -> None:
    if plan.metric not in COLUMNS:
        raise UserError(f"--metric {plan.metric}: {did_you_mean(plan.metric, COLUMNS)}")
    rows = [f"{name}, phase {phase}" for name in base.experts for phase in (1, 2)] + [AVERAGE, MIXTURE]
    if plan.row not in (None, *rows):
        raise UserError(f"--row {plan.row}: {did_you_mean(str(plan.row), rows)}")


def _check_corners(plan: Plan, space: Path) -> None:
    for key, distribution in plan.space.items():
        for corner in corners(key, distribution):
            try:
                _check_survives(plan.settings((corner,), plan.folder), corner)
            except UserError as error:
                raise UserError(f"{space}: {corner}: {error}") from error


def _check_survives(settings: Settings, where: str) -> None:
    """Raise `UserError` where a method would undo settings that are read from a file, as best.yaml will be."""
    again = apply_method(OmegaConf.structured(settings), settings.method, list(settings.use_experts))
    if OmegaConf.to_container(again) != to_dictionary(settings):
        raise UserError(f"{where} sets what method={settings.method} fixes: leave it out, or choose another method.")
