"""One temperature for the mixture's probabilities, fitted on the validation part (arXiv 1706.04599)."""

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from scipy.optimize import minimize_scalar

from lptpp.data.sources.files import read_json
from lptpp.utils.errors import UserError
from lptpp.utils.io import write_json

FILE = "temperature.json"
RANGE = (0.05, 20.0)  # where the temperature is sought


@dataclass(frozen=True)
class Fitted:
    """A temperature, the images it was fitted on, and the mean negative log-likelihood there, in nats."""

    temperature: float
    split: str
    images: int
    loss_before: float
    loss_after: float
    model: str  # fingerprint of the mixture it belongs to


def tempered(probabilities: torch.Tensor, temperature: float) -> torch.Tensor:
    """Return softmax(log p / T) for probabilities p (B, C): for one expert, the softmax of its logits over T."""
    return (logarithm(probabilities) / temperature).softmax(-1)


def fit_temperature(batches: Iterable[tuple[torch.Tensor, torch.Tensor]], split: str, model: str) -> Fitted:
    """Return the temperature with the smallest negative log-likelihood of batches: probabilities (B, C), labels (B,).

    The loss is convex in 1/T, so that one search over log T finds it.
    """
    parts = [(logarithm(probabilities).cpu(), labels.cpu()) for probabilities, labels in batches]
    log_p, labels = (torch.cat(column) for column in zip(*parts, strict=True))  # (n, C), (n,)

    def loss(log_temperature: float) -> float:
        return F.cross_entropy(log_p / math.exp(log_temperature), labels).item()

    bounds = [math.log(bound) for bound in RANGE]
    best = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-4}).x
    return Fitted(math.exp(best), split, len(labels), loss(0.0), loss(best), model)


def logarithm(probabilities: torch.Tensor) -> torch.Tensor:
    """Return log p, finite also where p has rounded to zero."""
    return probabilities.clamp(min=torch.finfo(probabilities.dtype).tiny).log()


def write_fitted(folder: Path, fitted: Fitted) -> None:
    """Write `temperature.json` into a run folder."""
    write_json(folder / FILE, asdict(fitted))


def read_fitted(folder: Path, model: str) -> Fitted:
    """Return what `temperature.json` of a run folder holds.

    Raises `UserError` where there is none, or where it was fitted to another model than that of this fingerprint.
    """
    path, cure = folder / FILE, f"fit one by `lptpp evaluate {folder} evaluation.temperature=fitted`."
    if not path.is_file():
        raise UserError(f"{folder} holds no fitted temperature: {cure}")
    try:
        fitted = Fitted(**read_json(path, "the fitted temperature"))
    except TypeError as error:
        raise UserError(f"{path} does not hold a fitted temperature: {cure}") from error
    if fitted.model != model:
        raise UserError(f"{path} was fitted to other weights than {folder} holds now: {cure}")
    return fitted
