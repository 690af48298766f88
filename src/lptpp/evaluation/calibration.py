"""Temperature scaling of the mixture's probabilities, fitted on the validation split (arXiv 1706.04599)."""

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.nn.functional as F

from lptpp.data.sources.files import read_json
from lptpp.models.scorer import log_probabilities
from lptpp.utils.digest import DIGEST, is_sealed, sealed
from lptpp.utils.errors import UserError
from lptpp.utils.io import write_json

FILE = "temperature.json"
RANGE = (0.05, 20.0)  # search interval of the temperature


@dataclass(frozen=True)
class FittedTemperature:
    """A temperature, the images it was fitted on, and their mean negative log-likelihood in nats."""

    temperature: float
    split: str
    images: int
    loss_before: float  # at temperature 1
    loss_after: float
    model: str  # fingerprint of the mixture


def tempered(probabilities: torch.Tensor, temperature: float) -> torch.Tensor:
    """Return softmax(log p / T) for probabilities p (B, C): for one expert, the softmax of its logits over T."""
    return (log_probabilities(probabilities) / temperature).softmax(-1)


def fit_temperature(batches: Iterable[tuple[torch.Tensor, torch.Tensor]], split: str, model: str) -> FittedTemperature:
    """Fit the temperature that minimizes the negative log-likelihood of batches: probabilities (B, C), labels (B,).

    The loss is convex in 1/T, so a bounded search over log T finds the minimum.
    """
    from scipy.optimize import minimize_scalar  # here, as importing it takes half a second

    parts = [(log_probabilities(probabilities).cpu(), labels.cpu()) for probabilities, labels in batches]
    log_p, labels = (torch.cat(column) for column in zip(*parts, strict=True))  # (n, C), (n,)

    def loss(log_temperature: float) -> float:
        return F.cross_entropy(log_p / math.exp(log_temperature), labels).item()

    bounds = [math.log(bound) for bound in RANGE]
    best = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-4}).x
    return FittedTemperature(math.exp(best), split, len(labels), loss(0.0), loss(best), model)


def write_fitted(folder: Path, fitted: FittedTemperature) -> None:
    """Write temperature.json to a run folder."""
    write_json(folder / FILE, sealed(asdict(fitted)))


def read_fitted(folder: Path, model: str) -> FittedTemperature:
    """Return the fitted temperature of a run folder; `model` is the fingerprint of its mixture.

    Raises:
        UserError: The file is missing or damaged, or was fitted to other weights.
    """
    command = f"lptpp evaluate {folder} evaluation.temperature=fitted"
    path, fix = folder / FILE, f"run `{command}`, which needs a run with a validation split, or specify a number."
    if not path.is_file():
        raise UserError(f"{folder} contains no fitted temperature: {fix}")
    found = read_json(path, "the fitted temperature")
    try:
        fitted = FittedTemperature(**{key: value for key, value in found.items() if key != DIGEST})
        intact = is_sealed(found) and RANGE[0] <= fitted.temperature <= RANGE[1]
    except (TypeError, AttributeError, ValueError) as error:
        raise UserError(f"{path} does not contain a fitted temperature: {fix}") from error
    if not intact:
        raise UserError(f"{path} was changed after it was written: {fix}")
    if fitted.model != model:
        raise UserError(f"{path} was fitted to different weights than those in {folder}: {fix}")
    return fitted
