"""Test-time options (averaged views, temperature, prior), each a row of the shot table; fitting the temperature."""

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lptpp.config import EvaluationSettings, Settings
from lptpp.data.cache import ImageCache
from lptpp.evaluation.calibration import fit_temperature, tempered, write_fitted
from lptpp.evaluation.changeable import ADJUSTING
from lptpp.evaluation.estimated_prior import estimate_from
from lptpp.evaluation.evaluate import best_classes, columns, ranking_columns, rankings_of, result_row
from lptpp.evaluation.prior import ESTIMATED, assumed_prior, expected_prior, prior_warnings, reweighed
from lptpp.evaluation.rankings import Ranking
from lptpp.evaluation.table import ResultRow
from lptpp.inference.pipeline import Pipeline
from lptpp.inference.runtime import Runner
from lptpp.models.mixture import Mixture
from lptpp.utils import exchange, processes

log = logging.getLogger("lptpp")
FITTED = "fitted"


@dataclass(frozen=True)
class Adjustment:
    """Averages the views, applies the temperature, then the prior; each is off by default."""

    views: str = "one"
    temperature: float = 1.0
    priors: tuple[np.ndarray, np.ndarray] | None = None  # expected and assumed, (C,) each

    def __call__(self, probabilities: torch.Tensor) -> torch.Tensor:
        """Return probabilities (B, C) from those of V views (B, V, C), the plain view first."""
        adjusted = probabilities[:, 0] if self.views == "one" else probabilities.mean(1)
        if self.temperature != 1:
            adjusted = tempered(adjusted, self.temperature)
        return adjusted if self.priors is None else reweighed(adjusted, *self.priors)


def options(asked: EvaluationSettings) -> dict[str, Any]:
    """Return the settings that define an adjustment."""
    return {key: getattr(asked, key) for key in ADJUSTING}


def adjustment(
    settings: Settings, class_names: list[str], counts: np.ndarray, fitted: Callable[[], float]
) -> Adjustment:
    """Return the adjustment of the settings; `fitted` returns the fitted temperature and is called only if needed.

    For the prior `estimated`, the expected frequencies are the assumed ones, until `with_estimate` replaces them.

    Raises:
        UserError: A prior cannot be read; or whatever `fitted` raises.
    """
    asked = settings.evaluation
    priors = None
    if asked.prior is not None:
        assumed = assumed_prior(asked.assumed, class_names, counts, settings)
        expected = assumed if asked.prior == ESTIMATED else expected_prior(asked.prior, class_names, counts)
        priors = expected, assumed
    return Adjustment(asked.views, fitted() if asked.temperature == FITTED else float(asked.temperature), priors)


def warn_about_prior(settings: Settings, found: Adjustment, counts: np.ndarray) -> None:
    """Log a warning if the prior of an adjustment does nothing or harm (`prior_warnings`)."""
    for warning in () if found.priors is None else prior_warnings(settings, *found.priors, counts):
        log.warning("%s", warning)


def with_estimate(
    whole: Adjustment, batches: Iterable[torch.Tensor], images: int, class_names: list[str]
) -> Adjustment:
    """Return the adjustment with class frequencies estimated from the probabilities (B, V, C) of unlabeled images."""
    assert whole.priors is not None
    calibrated = replace(whole, priors=None)
    found = estimate_from((calibrated(batch) for batch in batches), images, whole.priors[1], class_names)
    return replace(whole, priors=(found, whole.priors[1]))


def adjusted_rows(
    settings: Settings,
    mixture: Mixture,
    images: ImageCache,
    class_names: list[str],
    counts: np.ndarray,
    fitted: Callable[[], float],
    runner: Runner,
) -> dict[ResultRow, Adjustment]:
    """Return the rows of the test-time options in the settings; `images` are those to evaluate.

    Raises `UserError` as `adjustment`.
    """
    whole = adjustment(settings, class_names, counts, fitted)
    warn_about_prior(settings, whole, counts)
    if settings.evaluation.prior == ESTIMATED:
        found = batches(mixture, images, whole.views, runner, "Estimating class frequencies")
        whole = with_estimate(whole, (views for views, _ in found), len(images), class_names)
    return rows_of(settings.evaluation, whole, result_row(mixture))


def rows_of(asked: EvaluationSettings, whole: Adjustment, result: ResultRow) -> dict[ResultRow, Adjustment]:
    """Return the rows that show an adjustment of the result row: every option alone and, if several, all together."""
    options: list[tuple[dict[str, str], Adjustment]] = []
    if whole.views != "one":
        options.append(({"views": whole.views}, Adjustment(views=whole.views)))
    if whole.temperature != 1:
        options.append(({"temperature": str(asked.temperature)}, Adjustment(temperature=whole.temperature)))
    if whole.priors is not None:
        options.append(({"prior": Path(str(asked.prior)).name}, Adjustment(priors=whole.priors)))
    rows = {replace(result, **fields): alone for fields, alone in options}
    together = {key: value for fields, _ in options for key, value in fields.items()}
    return rows | ({replace(result, **together): whole} if len(options) > 1 else {})


@torch.no_grad()
def adjusted_rankings(
    mixture: Mixture, images: ImageCache, rows: dict[ResultRow, Adjustment], runner: Runner
) -> dict[ResultRow, Ranking]:
    """Return the ranking of every row, in one pass over the images."""
    views = next((row.views for row in rows if row.views != "one"), "one")
    found = batches(mixture, images, views, runner, "Test-time options") if rows else ()
    parts = (
        ranking_columns({row: best_classes(adjust(probabilities)) for row, adjust in rows.items()})
        for probabilities, _ in found
    )
    return rankings_of(columns(parts))


def batches(
    mixture: Mixture, images: ImageCache, views: str, runner: Runner, description: str
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield the mixture's probabilities (B, V, C) on V views of every image, and labels (B,), batch by batch."""
    predictions = Pipeline(mixture, runner, views).predictions(images, description)
    own = ({"probabilities": prediction.of_views, "labels": labels} for prediction, labels in predictions)
    for part in exchange.in_order(own):
        yield part["probabilities"], part["labels"]


@torch.no_grad()
def fit_on_validation(mixture: Mixture, images: ImageCache, runner: Runner, folder: Path) -> float:
    """Fit the temperature on the validation images, write it to the run folder, and return it."""
    found = batches(mixture, images, "one", runner, "Fitting the temperature")
    plain = ((probabilities[:, 0], labels) for probabilities, labels in found)
    fitted = fit_temperature(plain, "validation", mixture.fingerprint())
    if processes.is_main():
        write_fitted(folder, fitted)
    log.info(
        "Temperature %.3f fitted on %d validation images: negative log-likelihood %.4f, was %.4f.",
        fitted.temperature, fitted.images, fitted.loss_after, fitted.loss_before,
    )  # fmt: skip
    return fitted.temperature
