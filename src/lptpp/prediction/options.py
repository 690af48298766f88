"""The options of a prediction (docs/predict.md); wrong ones are refused before PyTorch is imported."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lptpp.config import Settings
from lptpp.config.validate import check_megapixels, check_priors
from lptpp.evaluation.changeable import ADJUSTING
from lptpp.prediction.suffixes import FEATURES, check_suffix
from lptpp.utils.errors import UserError
from lptpp.utils.text import percent_hint, short_number

if TYPE_CHECKING:
    from lptpp.data.decode import Decoding
    from lptpp.evaluation.tta import Adjustment


@dataclass(frozen=True)
class PredictOptions:
    """The options of `lptpp predict`.

    Raises:
        UserError: a value is out of range, or a file does not exist.
    """

    top_k: int = 5
    threshold: float = 0.0
    views: str = "one"
    prior: str | None = None
    assumed: str = "auto"
    temperature: str = "1"
    column: str | None = None  # of paths in a table; by default the one with a usual name
    embeddings: Path | None = None
    batch_size: int | None = None  # that of the run by default
    largest_megapixels: float | None = None  # likewise
    overwrite: bool = False
    escape_formulas: bool = True  # in a .csv output

    def __post_init__(self) -> None:
        if self.top_k < 1:
            raise UserError(f"top_k={self.top_k}: expected 1 or more.")
        if not 0 <= self.threshold <= 1:
            given, hint = short_number(self.threshold), percent_hint(self.threshold)
            raise UserError(f"threshold={given}: expected a probability between 0 and 1{hint}.")
        if self.embeddings is not None:
            check_suffix(self.embeddings, FEATURES)
        check_megapixels(self.largest_megapixels)
        check_priors(self.over(Settings()).evaluation)

    def over(self, settings: Settings) -> Settings:
        """Return the settings of a run with the evaluation settings replaced by these options."""
        chosen = {key: getattr(self, key) for key in ADJUSTING}
        size = settings.evaluation.batch_size if self.batch_size is None else self.batch_size
        return replace(settings, evaluation=replace(settings.evaluation, batch_size=size, **chosen))

    def decoding(self, of_run: Decoding) -> Decoding:
        """Return how images are decoded: as in the run, but with the limit of these options."""
        return of_run.up_to(self.largest_megapixels)

    def deciding(self, adjust: Adjustment, chunk: int) -> dict[str, Any]:
        """Return what determines the output besides model and inputs, as JSON; `chunk` is the batch size in images."""
        priors = b"" if adjust.priors is None else b"".join(prior.tobytes() for prior in adjust.priors)
        return {
            **self.given(),
            "frequencies": hashlib.sha256(priors).hexdigest()[:12],
            "temperature": adjust.temperature,
            "batch_size": chunk,
        }

    def given(self) -> dict[str, Any]:
        """Return the part of `deciding` that is known before the model is loaded."""
        return {
            "top_k": self.top_k,
            "threshold": self.threshold,
            "views": self.views,
            "prior": self.prior,
            "embeddings": None if self.embeddings is None else str(self.embeddings),
            "largest_megapixels": self.largest_megapixels,
            "escape_formulas": self.escape_formulas,
        }
