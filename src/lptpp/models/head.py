"""The cosine classifier and its initialization."""

import torch
import torch.nn.functional as F
from torch import nn


class CosineHead(nn.Module):
    """z_c = cos(f, w_c), in training with dropout on f (docs/method.md)."""

    def __init__(self, classes: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(F.normalize(torch.randn(classes, width), dim=-1))  # (C, F)

    def forward(self, features: torch.Tensor, dropout: float = 0.0) -> torch.Tensor:
        """Map features (B, F) to cosines (B, C); `dropout` is the probability that an entry of a feature is dropped.

        The draws are from torch's global generator.
        """
        if dropout:
            features = F.dropout(features, dropout)
        return F.normalize(features, dim=-1) @ F.normalize(self.weight, dim=-1).T

    @torch.no_grad()
    def start_from(self, vectors: torch.Tensor) -> None:
        """Initialize the weights with the directions of `vectors` (C, F)."""
        self.weight.copy_(F.normalize(vectors, dim=-1))


def class_means(features: torch.Tensor, labels: torch.Tensor, unseen: torch.Tensor) -> torch.Tensor:
    """Return the mean unit feature (C, F) of each class from features (n, F) and labels (n,).

    A class without an image keeps its row of `unseen` (C, F).
    """
    sums = torch.zeros_like(unseen).index_add_(0, labels, F.normalize(features, dim=-1))
    seen = torch.bincount(labels, minlength=unseen.shape[0]) > 0
    return torch.where(seen[:, None], F.normalize(sums, dim=-1), unseen)
