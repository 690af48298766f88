"""Passes over pictures for what an evaluation adds at test time: the adjusted rows and the fitted temperature."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lptpp.config import EvaluationSettings, Settings
from lptpp.data.cache import Pictures
from lptpp.data.loader import Views
from lptpp.evaluation.calibration import fit_temperature, tempered, write_fitted
from lptpp.evaluation.evaluate import Ranking, best_classes, joined
from lptpp.evaluation.prior import assumed_prior, expected_prior, reweighed
from lptpp.inference.outputs import predict_batch
from lptpp.inference.runtime import Runner, each_once
from lptpp.inference.views import VIEWS, of_batch
from lptpp.models.mixture import Mixture

OPTIONS = ("views", "prior", "assumed", "temperature")
FITTED = "fitted"


@dataclass(frozen=True)
class Adjustment:
    """The mean over the views, then the temperature, then the prior; each absent by default."""

    views: str = "one"
    temperature: float = 1.0
    priors: tuple[np.ndarray, np.ndarray] | None = None  # expected and assumed, (C,) each

    def __call__(self, probabilities: torch.Tensor) -> torch.Tensor:
        """Return probabilities (B, C) from those of V views (B, V, C), the plain one first."""
        predict_batch = probabilities[:, 0] if self.views == "one" else probabilities.mean(1)
        if self.temperature != 1:
            predict_batch = tempered(predict_batch, self.temperature)
        return predict_batch if self.priors is None else reweighed(predict_batch, *self.priors)


def options(asked: EvaluationSettings) -> dict[str, Any]:
    """Return the settings that an adjustment follows from."""
    return {key: getattr(asked, key) for key in OPTIONS}


def adjustment(
    settings: Settings, class_names: list[str], counts: np.ndarray, fitted: Callable[[], float]
) -> Adjustment:
    """Return the adjustment that the settings ask for; `fitted` gives the fitted temperature where that is asked.

    Raises `UserError` for a prior that cannot be had, or whatever `fitted` raises.
    """
    asked = settings.evaluation
    priors = None
    if asked.prior is not None:
        expected = expected_prior(asked.prior, class_names, counts)
        priors = expected, assumed_prior(asked.assumed, class_names, counts, settings)
    return Adjustment(asked.views, fitted() if asked.temperature == FITTED else float(asked.temperature), priors)


def rows_of(asked: EvaluationSettings, whole: Adjustment) -> dict[str, Adjustment]:
    """Return the rows that show an adjustment: each of its parts alone, and all of them where there are several."""
    rows = {}
    if whole.views != "one":
        rows[whole.views.replace("_", " ")] = Adjustment(views=whole.views)
    if whole.temperature != 1:
        rows[f"temperature {asked.temperature}"] = Adjustment(temperature=whole.temperature)
    if whole.priors is not None:
        rows[f"prior {Path(str(asked.prior)).name}"] = Adjustment(priors=whole.priors)
    return rows | ({", ".join(rows): whole} if len(rows) > 1 else {})


log = logging.getLogger("lptpp")


@torch.no_grad()
def adjusted_rankings(
    mixture: Mixture, pictures: Pictures, rows: dict[str, Adjustment], runner: Runner
) -> dict[str, Ranking]:
    """Return the ranking of every row, in one pass over the pictures."""
    views = next((row.views for row in rows.values() if row.views != "one"), "one")
    found: dict[str, list[Ranking]] = {name: [] for name in rows}
    for probabilities, _ in batches(mixture, pictures, views, runner, "Test-time rows") if rows else ():
        for name, row in rows.items():
            found[name].append(best_classes(row(probabilities)))
    return {name: joined(parts) for name, parts in found.items()}


def batches(
    mixture: Mixture, pictures: Pictures, views: str, runner: Runner, description: str
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield the mixture's probabilities (B, V, C) of V views of every picture, and labels (B,), batch by batch."""
    number, transform = VIEWS[views]
    runner = replace(runner, batch_size=max(1, runner.batch_size // number))
    transforms = {name: of_batch(transform(e.backbone.preprocessing)) for name, e in mixture.experts.items()}
    seen = Views(pictures, pictures.split.labels, transforms)
    for expert_outputs, labels, _ in runner.expert_outputs(mixture, seen, each_once(pictures), description):
        yield predict_batch(mixture, expert_outputs, number).of_views, labels


@torch.no_grad()
def fit_on_validation(mixture: Mixture, pictures: Pictures, runner: Runner, folder: Path) -> float:
    """Return the temperature fitted on the pictures of the validation part, and write it into the run folder."""
    found = batches(mixture, pictures, "one", runner, "Fitting the temperature")
    plain = ((probabilities[:, 0], labels) for probabilities, labels in found)
    fitted = fit_temperature(plain, "validation", mixture.fingerprint())
    write_fitted(folder, fitted)
    log.info(
        "Temperature %.3f, fitted on %d validation images: negative log-likelihood %.4f, before %.4f.",
        fitted.temperature, fitted.images, fitted.loss_after, fitted.loss_before,
    )  # fmt: skip
    return fitted.temperature
