"""What a user may choose of a prediction (docs/predict.md)."""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lptpp.config import Settings
from lptpp.evaluation.tta import OPTIONS, Adjustment
from lptpp.prediction.writer import FEATURES, check_suffix
from lptpp.utils.errors import UserError


@dataclass(frozen=True)
class Options:
    """The options of `lptpp predict`; raises `UserError` for a value that cannot be."""

    top_k: int = 5
    threshold: float = 0.0
    views: str = "one"
    prior: str | None = None
    assumed: str = "auto"
    temperature: str = "1"
    column: str | None = None  # of a table, that holds the paths; found by its usual names
    embeddings: Path | None = None
    batch_size: int | None = None  # the run's own by default
    overwrite: bool = False

    def __post_init__(self) -> None:
        if self.top_k < 1:
            raise UserError(f"top_k={self.top_k}: expected 1 or more.")
        if not 0 <= self.threshold <= 1:
            raise UserError(f"threshold={self.threshold}: expected a probability, 0 to 1.")
        if self.embeddings is not None:
            check_suffix(self.embeddings, FEATURES)

    def over(self, settings: Settings) -> Settings:
        """Return a run's settings with those of its evaluation replaced that are chosen here."""
        chosen = {key: getattr(self, key) for key in OPTIONS}
        size = settings.evaluation.batch_size if self.batch_size is None else self.batch_size
        return replace(settings, evaluation=replace(settings.evaluation, batch_size=size, **chosen))

    def deciding(self, adjust: Adjustment, chunk: int) -> dict[str, Any]:
        """Return all that decides the rows besides model and inputs, as JSON; `chunk` inputs are judged together."""
        priors = b"" if adjust.priors is None else b"".join(prior.tobytes() for prior in adjust.priors)
        return {
            "top_k": self.top_k,
            "threshold": self.threshold,
            "views": adjust.views,
            "prior": self.prior,
            "frequencies": hashlib.sha256(priors).hexdigest()[:12],
            "temperature": adjust.temperature,
            "embeddings": None if self.embeddings is None else str(self.embeddings),
            "batch_size": chunk,
        }
