"""Test-time prior: adjust probabilities to the class frequencies expected at prediction.

By Bayes' rule, if only the class frequencies differ (logit adjustment at prediction, arXiv 2007.07314):

    log p'(c|x) = log p(c|x) + log expected(c) − log assumed(c) + constant
"""

import csv
import math
from collections.abc import Iterator, Mapping
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lptpp.config import Settings, StreamSettings
from lptpp.data.sources.files import read_json, read_text
from lptpp.losses import ClassBalanced
from lptpp.models.scorer import log_probabilities
from lptpp.samplers import class_shares
from lptpp.utils.errors import UserError, close_names
from lptpp.utils.spreadsheet import exact
from lptpp.utils.text import listed

AUTO, ESTIMATED = "auto", "estimated"
BALANCING = ("a_gcl", "gcl", "ldam", "class_balanced", "logit_adjustment")  # losses that favor rare classes
PURPOSE = "the class frequencies (or specify uniform, training or estimated)"


def reweighed(probabilities: torch.Tensor, expected: np.ndarray, assumed: np.ndarray) -> torch.Tensor:
    """Return p' (B, C) of the formula above for probabilities (B, C) and priors (C,); `assumed` must be positive."""
    with np.errstate(divide="ignore"):  # log 0 = -inf: a class that cannot occur gets p' = 0
        change = np.log(expected) - np.log(assumed)
    return (log_probabilities(probabilities) + torch.from_numpy(change).to(probabilities)).softmax(-1)


def expected_prior(name: str, class_names: list[str], counts: np.ndarray) -> np.ndarray:
    """Return the class frequencies (C,), sum 1, of `uniform`, `training` or a .csv or .json file.

    Raises:
        UserError: The file cannot be read or lacks the frequency of a class.
    """
    if name == "uniform":
        return normalized(np.ones(len(counts)))
    if name == "training":
        return training_prior(counts, "instance_balanced")
    return read_prior(Path(name), class_names)


def assumed_prior(name: str, class_names: list[str], counts: np.ndarray, settings: Settings) -> np.ndarray:
    """Return the prior (C,) that the mixture's confidence scores assume: `auto`, or as for `expected_prior`.

    `auto` derives it from the sampler and the loss that trained the classifiers (`trained_prior`).

    Raises:
        UserError: As for `expected_prior`, and for a frequency of zero.
    """
    if name == AUTO:
        return trained_prior(_last_stream(settings), counts)
    prior = expected_prior(name, class_names, counts)
    if not prior.all():
        impossible = class_names[int(np.flatnonzero(prior == 0)[0])]
        raise UserError(f"{name}: the frequency of class {impossible} is 0, but the assumed prior must be positive.")
    return prior


def trained_prior(stream: StreamSettings, counts: np.ndarray) -> np.ndarray:
    """Return the prior (C,) of the sampler's batches, divided by π^τ or multiplied by the weights of the loss."""
    prior = training_prior(counts, stream.sampler)
    if stream.loss.name == "logit_adjustment":
        prior = prior / training_prior(counts, "instance_balanced") ** stream.loss.options.get("tau", 1.0)
    if stream.loss.name == "class_balanced":
        prior = prior * ClassBalanced(torch.from_numpy(counts), **stream.loss.options).weights.double().numpy()
    return normalized(prior)


def prior_warnings(settings: Settings, expected: np.ndarray, assumed: np.ndarray, counts: np.ndarray) -> Iterator[str]:
    """Yield a sentence if a prior changes nothing, or balances scores that the training has already balanced."""
    stream, asked = _last_stream(settings), settings.evaluation
    trained = f"{stream.sampler} sampling with the loss {stream.loss.name}"
    if asked.prior != ESTIMATED and np.allclose(expected, assumed, rtol=1e-3):
        yield f"evaluation.prior={asked.prior} changes nothing: {trained} already assumes these frequencies."
    elif asked.assumed != AUTO and not np.allclose(assumed, derived := trained_prior(stream, counts), rtol=1e-3):
        balanced = " The scores are already balanced." if np.allclose(derived, derived[0], rtol=1e-3) else ""
        yield (
            f"evaluation.assumed={asked.assumed} is not what {trained} assumes.{balanced} This corrects for class"
            " frequencies that the scores do not have, and may lower accuracy: use evaluation.assumed=auto."
        )
    elif asked.prior == "uniform" and stream.loss.name in BALANCING:
        yield (
            f"evaluation.prior=uniform: {trained} already balances the scores, so this may correct them twice."
            " Compare the row with the plain one before you use it."
        )


def training_prior(counts: np.ndarray, sampler: str) -> np.ndarray:
    """Return how often a sampler draws each class, (C,); a class without training images counts as one image."""
    return class_shares(np.maximum(counts, 1), sampler)


def normalized(frequencies: np.ndarray) -> np.ndarray:
    """Scale frequencies (C,) to sum 1."""
    return frequencies / frequencies.sum()


def read_prior(path: Path, class_names: list[str]) -> np.ndarray:
    """Return the frequencies (C,), sum 1, of a JSON object or a CSV table of class and frequency.

    Raises:
        UserError: The file is missing or damaged, a class is unknown or missing, or a frequency is invalid.
    """
    given = _from_json(path) if path.suffix.lower() == ".json" else _from_csv(path)
    _check_frequencies(path, given)
    if path.suffix.lower() != ".json":  # names as in per_class.csv
        given = {name if name in class_names else exact(name): frequency for name, frequency in given.items()}
    if unknown := [name for name in given if name not in class_names]:
        raise UserError(
            f"{path}: {listed(map(repr, unknown))} is not among the {len(class_names):,} classes of the run:"
            f" {listed(class_names)}.{close_names(unknown, class_names)}"
        )
    missing = [name for name in class_names if name not in given]
    if missing:
        raise UserError(f"{path}: no frequency for {listed(missing)}; every class needs one, 0 if it cannot occur.")
    return normalized(np.array([given[name] for name in class_names], dtype=np.float64))


def _check_frequencies(path: Path, given: Mapping[str, Any]) -> None:
    for name, frequency in given.items():
        if not isinstance(frequency, int | float) or not 0 <= frequency < math.inf:
            raise UserError(f"{path}: class {name!r} has frequency {frequency!r}, expected a number of at least 0.")
    if not any(given.values()):
        raise UserError(f"{path}: at least one frequency must be greater than 0.")


def _last_stream(settings: Settings) -> StreamSettings:
    """Return the main stream of the experts' last phase."""
    has_groups = any(expert.group_prompts for expert in settings.experts.values())
    return settings.phase2.main if has_groups else settings.phase1.main


def _from_json(path: Path) -> dict[str, Any]:
    given = read_json(path, PURPOSE)
    if not isinstance(given, dict):
        raise UserError(f'{path}: expected an object of class and frequency, for example {{"cat": 0.9, "dog": 0.1}}.')
    return given


def _from_csv(path: Path) -> dict[str, Any]:
    """Return frequencies by class; a first line whose second cell is not a number is a header."""
    rows = [row for row in csv.reader(StringIO(read_text(path, PURPOSE), newline="")) if row]
    given: dict[str, Any] = {}
    for place, row in enumerate(rows):
        if len(row) != 2:
            raise UserError(f"{path}: line {','.join(row)!r}, expected `class,frequency`.")
        name, frequency = row[0], _number(row[1])
        if name in given:
            raise UserError(f"{path}: class {name!r} occurs more than once.")
        if place or isinstance(frequency, float):
            given[name] = frequency
    return given


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text
