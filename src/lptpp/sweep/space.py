"""The search space of a sweep: a YAML file that maps settings to ranges or choices."""

import json
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from lptpp.config import read_yaml
from lptpp.utils.errors import UserError
from lptpp.utils.extras import extra

Space = dict[str, Any]  # dotted key -> Optuna distribution; choices are JSON texts
RANGE = {"low", "high", "step", "log"}
EXPECTED = "expected a range such as {low: 0.01, high: 0.2, log: true}, or a list of choices"
FIXED_SECTIONS = ("run", "tracker", "data", "evaluation")  # trials must be comparable


def read_space(path: Path) -> Space:
    """Return the search space of a YAML file with entries such as `phase1.epochs: {low: 3, high: 8}`.

    Raises:
        UserError: the file is missing or invalid, or an entry is neither a range nor a list.
    """
    given = OmegaConf.to_container(read_yaml(path))
    assert isinstance(given, dict)
    if not given:
        raise UserError(f"{path} is empty: {EXPECTED}.")
    entries = {str(key): value for key, value in given.items()}
    return {key: _distribution(f"{path}: {key}", key, value) for key, value in entries.items()}


def corners(key: str, distribution: Any) -> list[str]:
    """Return `key=value` for every choice or for both ends of a range."""
    choices = getattr(distribution, "choices", None)
    values = [distribution.low, distribution.high] if choices is None else choices
    return [assignment(key, value) for value in values]


def assignment(key: str, value: float | str) -> str:
    """Return `key=value` for the command line; a str is JSON already."""
    return f"{key}={value if isinstance(value, str) else json.dumps(value)}"


def _distribution(where: str, key: str, value: Any) -> Any:
    if key.split(".")[0] in FIXED_SECTIONS:
        raise UserError(f"{where} cannot be searched: all trials must use the same data and evaluation.")
    optuna = extra("optuna", "sweep", "lptpp sweep")
    try:
        if isinstance(value, list):
            choices = list(dict.fromkeys(json.dumps(choice, ensure_ascii=False) for choice in value))
            return optuna.distributions.CategoricalDistribution(choices)
        return _range(optuna, value)
    except (ValueError, TypeError, KeyError) as error:
        raise UserError(f"{where}: {json.dumps(value)} is invalid ({error}): {EXPECTED}.") from error


def _range(optuna: Any, given: Any) -> Any:
    if not isinstance(given, dict) or not {"low", "high"} <= given.keys() <= RANGE:
        raise ValueError("the keys must be low, high and optionally step, log")
    if any(isinstance(given[end], bool | str) for end in ("low", "high")):
        raise ValueError("low and high must be numbers")
    if not given["low"] < given["high"]:
        raise ValueError("low must be below high")
    whole = all(isinstance(given.get(name, 1), int) for name in ("low", "high", "step"))
    return (optuna.distributions.IntDistribution if whole else optuna.distributions.FloatDistribution)(**given)
