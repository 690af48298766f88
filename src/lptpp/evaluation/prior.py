"""Test-time prior: the probabilities that hold where classes come as often as the user expects.

By Bayes' rule, where only the class frequencies differ (logit adjustment at prediction, arXiv 2007.07314):

    log p'(c|x) = log p(c|x) + log expected(c) − log assumed(c) + constant
"""

import csv
import math
from collections.abc import Mapping
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lptpp.config import Settings, StreamSettings
from lptpp.data.sources.files import read_json, read_text
from lptpp.evaluation.calibration import logarithm
from lptpp.samplers import class_shares
from lptpp.utils.errors import UserError, did_you_mean
from lptpp.utils.text import listed

AUTO = "auto"
PURPOSE = "the class frequencies (or say uniform, or training)"


def reweighed(probabilities: torch.Tensor, expected: np.ndarray, assumed: np.ndarray) -> torch.Tensor:
    """Return p' (B, C) of the formula above for probabilities (B, C) and two priors (C,); assumed is nowhere zero."""
    with np.errstate(divide="ignore"):  # a class that cannot occur: log 0 = -inf, and its p' is 0
        change = np.log(expected) - np.log(assumed)
    return (logarithm(probabilities) + torch.from_numpy(change).to(probabilities)).softmax(-1)


def expected_prior(name: str, class_names: list[str], counts: np.ndarray) -> np.ndarray:
    """Return the class frequencies (C,), sum 1, that `uniform`, `training` or a .csv or .json file stands for.

    Raises `UserError` for a file that cannot be read, or that does not give every class a frequency.
    """
    if name == "uniform":
        return normalized(np.ones(len(counts)))
    if name == "training":
        return training_prior(counts, "instance_balanced")
    return read_prior(Path(name), class_names)


def assumed_prior(name: str, class_names: list[str], counts: np.ndarray, settings: Settings) -> np.ndarray:
    """Return the prior (C,) that the mixture's scores are taken to assume: `auto`, or what `expected_prior` takes.

    `auto` is the prior of the batches that trained the classifier, over what its loss took out of it. Raises
    `UserError` as `expected_prior` does, and for a frequency of zero.
    """
    if name == AUTO:
        return trained_prior(_last_stream(settings), counts)
    prior = expected_prior(name, class_names, counts)
    if not prior.all():
        impossible = class_names[int(np.flatnonzero(prior == 0)[0])]
        raise UserError(f"{name} gives class {impossible} the frequency 0: the assumed prior needs more than that.")
    return prior


def trained_prior(stream: StreamSettings, counts: np.ndarray) -> np.ndarray:
    """Return the prior (C,) of the sampler's batches, divided by π^τ where the loss is logit adjustment."""
    prior = training_prior(counts, stream.sampler)
    if stream.loss.name == "logit_adjustment":
        prior = prior / training_prior(counts, "instance_balanced") ** stream.loss.options.get("tau", 1.0)
    return normalized(prior)


def training_prior(counts: np.ndarray, sampler: str) -> np.ndarray:
    """Return how often a sampler draws each class, (C,); a class without a training image counts as one image."""
    return class_shares(np.maximum(counts, 1), sampler)


def normalized(frequencies: np.ndarray) -> np.ndarray:
    """Return frequencies (C,) that sum to 1."""
    return frequencies / frequencies.sum()


def read_prior(path: Path, class_names: list[str]) -> np.ndarray:
    """Return the frequencies (C,), sum 1, of a JSON object or a CSV table of class and frequency.

    Raises `UserError` for a missing or broken file, an unknown or missing class, or a frequency that is none.
    """
    given = _from_json(path) if path.suffix.lower() == ".json" else _from_csv(path)
    _check_frequencies(path, given)
    for name in given:
        if name not in class_names:
            raise UserError(f"{path} names a class {name!r} that the run lacks: {did_you_mean(name, class_names)}")
    missing = [name for name in class_names if name not in given]
    if missing:
        raise UserError(f"{path} lacks {listed(missing)}: give every class a frequency, 0 where it cannot occur.")
    return normalized(np.array([given[name] for name in class_names], dtype=np.float64))


def _check_frequencies(path: Path, given: Mapping[str, Any]) -> None:
    for name, frequency in given.items():
        if not isinstance(frequency, int | float) or not 0 <= frequency < math.inf:
            raise UserError(f"{path} gives class {name!r} the frequency {frequency!r}: expected a number from 0 up.")
    if not any(given.values()):
        raise UserError(f"{path} gives no class a frequency above 0: at least one must occur.")


def _last_stream(settings: Settings) -> StreamSettings:
    """Return the stream of batches that trained the experts' last classifiers."""
    in_groups = any(expert.group_prompts for expert in settings.experts.values())
    return settings.phase2.main if in_groups else settings.phase1.main


def _from_json(path: Path) -> dict[str, Any]:
    given = read_json(path, PURPOSE)
    if not isinstance(given, dict):
        raise UserError(f'{path} should hold an object of class and frequency, such as {{"cat": 0.9, "dog": 0.1}}.')
    return given


def _from_csv(path: Path) -> dict[str, Any]:
    """Return {class: frequency}; a first line whose second cell is no number is a heading."""
    rows = [row for row in csv.reader(StringIO(read_text(path, PURPOSE), newline="")) if row]
    given: dict[str, Any] = {}
    for place, row in enumerate(rows):
        if len(row) != 2:
            raise UserError(f"{path} holds the line {','.join(row)!r}: expected lines `class,frequency`.")
        name, frequency = row[0], _number(row[1])
        if name in given:
            raise UserError(f"{path} names class {name!r} twice: give each class one frequency.")
        if place or isinstance(frequency, float):
            given[name] = frequency
    return given


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text
