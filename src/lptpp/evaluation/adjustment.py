"""What may be done to a finished mixture's probabilities at test time: views, a temperature, another prior."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lptpp.config import EvaluationSettings, Settings
from lptpp.evaluation.prior import assumed_prior, expected_prior, reweighed
from lptpp.evaluation.temperature import tempered

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
        answer = probabilities[:, 0] if self.views == "one" else probabilities.mean(1)
        if self.temperature != 1:
            answer = tempered(answer, self.temperature)
        return answer if self.priors is None else reweighed(answer, *self.priors)


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
