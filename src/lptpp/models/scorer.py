"""The scorer, which weighs the experts image by image, and the mixing rules (docs/method.md)."""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import nn

SMALLEST_DEVIATION = 1e-3  # of an input: classes that no expert ever predicts would otherwise be blown up


class Scorer(nn.Module):
    """A small MLP on the experts' outputs; its softmax gives a weight for every expert and image.

    It reads the experts' unit features, their confidence scores, or both, concatenated and standardized by the mean and
    deviation of its training data (what the scorer of LPT++ reads is not public). The last layer starts at zero, so an
    untrained mixture is the plain average.

    widths: F_e of each expert; classes: C, only for confidence scores.
    """

    mean: torch.Tensor
    deviation: torch.Tensor

    def __init__(self, widths: Sequence[int], hidden: int = 64, classes: int = 0, reads: str = "features") -> None:
        super().__init__()
        self.reads = reads
        read = {"features": sum(widths), "confidences": len(widths) * classes}
        inputs = sum(read.values()) if reads == "both" else read[reads]
        self.register_buffer("mean", torch.zeros(inputs))
        self.register_buffer("deviation", torch.ones(inputs))
        self.hidden = nn.Linear(inputs, hidden)
        self.last = nn.Linear(hidden, len(widths))
        self.reset()

    def reset(self) -> None:
        """Initialize the weights at random, so that all experts weigh the same."""
        self.hidden.reset_parameters()
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, features: Sequence[torch.Tensor], probabilities: torch.Tensor) -> torch.Tensor:
        """Map E features (B, F_e) and confidence scores (B, E, C) to weights (B, E) that sum to 1."""
        standardized = (self.inputs(features, probabilities) - self.mean) / self.deviation
        return self.last(torch.relu(self.hidden(standardized))).softmax(dim=-1)

    def inputs(self, features: Sequence[torch.Tensor], probabilities: torch.Tensor) -> torch.Tensor:
        """Return what the scorer reads, (B, I), before it is standardized."""
        read = []
        if self.reads != "confidences":
            read += [F.normalize(feature.float(), dim=-1) for feature in features]
        if self.reads != "features":
            read.append(probabilities.float().flatten(1))  # (B, E·C)
        return torch.cat(read, dim=-1)

    @torch.no_grad()
    def standardize(self, features: Sequence[torch.Tensor], probabilities: torch.Tensor) -> None:
        """Standardize by the outputs of n images: E features (n, F_e) and confidence scores (n, E, C)."""
        inputs = self.inputs(features, probabilities)
        self.mean.copy_(inputs.mean(0))
        self.deviation.copy_(inputs.std(0, correction=0).clamp(min=SMALLEST_DEVIATION))


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
