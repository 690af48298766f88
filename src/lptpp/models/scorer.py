"""The scorer, which weighs the experts image by image, and the mixing rules (docs/method.md)."""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import nn


class Scorer(nn.Module):
    """A small MLP on the experts' outputs; its softmax gives a weight for every expert and image.

    It reads the concatenated unit features of the experts (LPT++), their logits, standardized for each expert, or both.
    The last layer starts at zero, so an untrained mixture is the plain average.

    widths: F_e of each expert; classes: C, only for logits.
    """

    def __init__(self, widths: Sequence[int], hidden: int = 256, classes: int = 0, reads: str = "features") -> None:
        super().__init__()
        self.reads = reads
        read = {"features": sum(widths), "logits": len(widths) * classes}
        self.hidden = nn.Linear(sum(read.values()) if reads == "both" else read[reads], hidden)
        self.last = nn.Linear(hidden, len(widths))
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, features: Sequence[torch.Tensor], probabilities: torch.Tensor) -> torch.Tensor:
        """Map E features (B, F_e) and confidence scores (B, E, C) to weights (B, E) that sum to 1."""
        read = []
        if self.reads != "logits":
            read += [F.normalize(feature.float(), dim=-1) for feature in features]
        if self.reads != "features":
            read.append(F.layer_norm(log_probabilities(probabilities), probabilities.shape[-1:]).flatten(1))  # (B, E·C)
        return self.last(torch.relu(self.hidden(torch.cat(read, dim=-1)))).softmax(dim=-1)


def weighted_average(probabilities: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Return Σ_e w_e p_e (B, C) for confidence scores (B, E, C) and weights (B, E)."""
    return (weights.unsqueeze(-1) * probabilities).sum(1)


def weighted_logits(probabilities: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Return softmax(Σ_e w_e logits_e) (B, C); log p_e stands for the logits, from which it differs by a constant."""
    return weighted_average(log_probabilities(probabilities), weights).softmax(dim=-1)


def log_probabilities(probabilities: torch.Tensor) -> torch.Tensor:
    """Return log p, finite even if p has rounded to zero."""
    return probabilities.clamp(min=torch.finfo(probabilities.dtype).tiny).log()


MIXES: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "probabilities": weighted_average,
    "logits": weighted_logits,
}
