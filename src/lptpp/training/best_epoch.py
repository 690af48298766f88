"""The best epoch of a stage: `evaluation.keep=best` ends each stage with the weights of its best epoch.

The best is the epoch with the highest mean class accuracy on the validation split, the earliest of several. Its weights
are part of every checkpoint, so a resumed run keeps the same epoch.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from lptpp.checkpoint.store import Checkpoint
from lptpp.models.mixture import Mixture
from lptpp.training.loop import Position

MEASURE = "validation_mean_class"  # column of history.csv
TENSORS, ENTRY = "best", "best"  # file and manifest entry of a checkpoint


@dataclass
class BestEpoch:
    """The best epoch so far of the stage that is being trained."""

    mixture: Mixture
    stage: str = ""
    epoch: int = 0  # counted from 1
    value: float = -1.0
    weights: dict[str, torch.Tensor] = field(default_factory=dict)

    @classmethod
    def restored(cls, mixture: Mixture, checkpoint: Checkpoint | None) -> "BestEpoch":
        """Return the best epoch that a checkpoint has recorded, or none."""
        saved = None if checkpoint is None else checkpoint.manifest.get(ENTRY)
        return (
            cls(mixture)
            if not saved or checkpoint is None
            else cls(mixture, **saved, weights=checkpoint.tensors(TENSORS))
        )

    def saved(self) -> dict[str, Any]:
        """Return what the manifest records."""
        return {"stage": self.stage, "epoch": self.epoch, "value": self.value}

    def after_epoch(self, position: Position, measured: Mapping[str, Any]) -> None:
        """Compare an epoch, whose number `position.epoch` has just become, with the best of its stage."""
        value = measured[MEASURE]
        if str(position.stage) != self.stage:
            self.stage, self.value = str(position.stage), -1.0
        if value is not None and value > self.value:
            self.epoch, self.value = position.epoch, value
            self.weights = {name: tensor.detach().cpu().clone() for name, tensor in self.mixture.tuned_state().items()}

    @torch.no_grad()
    def keep(self) -> None:
        """Give the mixture the weights of the best epoch."""
        for name, tensor in self.mixture.tuned_state().items():
            tensor.copy_(self.weights[name])
