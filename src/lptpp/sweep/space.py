"""The search space of a sweep: a YAML file of settings and what each may be."""

import json
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from lptpp.config import read_yaml
from lptpp.utils.errors import UserError
from lptpp.utils.extras import extra

Space = dict[str, Any]  # by dotted key, Optuna's distribution; choices are JSON texts
RANGE = {"low", "high", "step", "log"}
EXPECTED = "expected {low: 0.01, high: 0.2, log: true}, whole numbers for whole ones, or a list of choices"
HELD = ("run", "tracker", "data", "evaluation")  # trials must be judged on the same pictures, in the same way


def read_space(path: Path) -> Space:
    """Return the search space that a YAML file describes, as in `phase1.epochs: {low: 3, high: 8}`.

    Raises `UserError` for a missing or broken file and for an entry that is neither a range nor a list.
    """
    given = OmegaConf.to_container(read_yaml(path))
    assert isinstance(given, dict)
    if not given:
        raise UserError(f"{path} names no setting to search: {EXPECTED}.")
    entries = {str(key): value for key, value in given.items()}
    return {key: _distribution(f"{path}: {key}", key, value) for key, value in entries.items()}


def corners(key: str, distribution: Any) -> list[str]:
    """Return `key=value` for every choice, or for both ends of a range."""
    choices = getattr(distribution, "choices", None)
    values = [distribution.low, distribution.high] if choices is None else choices
    return [assignment(key, value) for value in values]


def assignment(key: str, value: float | str) -> str:
    """Return `key=value` as the command line takes it; a text is JSON already."""
    return f"{key}={value if isinstance(value, str) else json.dumps(value)}"


def _distribution(where: str, key: str, value: Any) -> Any:
    if key.split(".")[0] in HELD:
        raise UserError(f"{where} cannot be searched: trials must be judged on the same pictures in the same way.")
    optuna = extra("optuna", "sweep", "lptpp sweep")
    try:
        if isinstance(value, list):
            choices = list(dict.fromkeys(json.dumps(choice, ensure_ascii=False) for choice in value))
            return optuna.distributions.CategoricalDistribution(choices)
        return _range(optuna, value)
    except (ValueError, TypeError, KeyError) as error:
        raise UserError(f"{where}: {json.dumps(value)} is no range ({error}): {EXPECTED}.") from error


def _range(optuna: Any, given: Any) -> Any:
    if not isinstance(given, dict) or not {"low", "high"} <= given.keys() <= RANGE:
        raise ValueError("its keys are low, high and, if wanted, step and log")
    if any(isinstance(given[end], bool | str) for end in ("low", "high")):
        raise ValueError("low and high are numbers")
    if not given["low"] < given["high"]:
        raise ValueError("low must be below high")
    whole = all(isinstance(given.get(name, 1), int) for name in ("low", "high", "step"))
    return (optuna.distributions.IntDistribution if whole else optuna.distributions.FloatDistribution)(**given)
