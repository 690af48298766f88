"""Putting a checkpoint's weights back into a mixture, strictly."""

import torch

from lptpp.errors import UserError
from lptpp.mixture import Mixture
from lptpp.training.checkpoint import Checkpoint


@torch.no_grad()
def load_tuned(mixture: Mixture, checkpoint: Checkpoint) -> None:
    """Copy every tuned weight of a checkpoint; `UserError` unless names and shapes all fit."""
    given, expected = checkpoint.tensors("tuned"), mixture.tuned_state()
    for name in sorted(given.keys() | expected.keys()):
        if name not in given or name not in expected or given[name].shape != expected[name].shape:
            raise UserError(
                f"{checkpoint.folder} does not fit its settings: weight {name} is missing, extra or of another size."
            )
    for name, tensor in expected.items():
        tensor.copy_(given[name])
