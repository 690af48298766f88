"""Bottleneck MLPs parallel to the frozen MLPs (AdaptFormer, arXiv 2205.13535)."""

import torch
import torch.nn.functional as F
from torch import nn


class Adapter(nn.Module):
    """s · up(relu(down(h))) for the normalized tokens h of a block (docs/method.md). Each adapter starts as a no-op."""

    def __init__(self, width: int, bottleneck: int, scale: float = 0.1) -> None:
        super().__init__()
        self.down = nn.Linear(width, bottleneck)
        self.up = nn.Linear(bottleneck, width)
        self.scale = scale
        nn.init.kaiming_uniform_(self.down.weight, a=5**0.5)
        nn.init.zeros_(self.down.bias)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """Map (B, N, D) to (B, N, D)."""
        squeezed = self.scale * torch.relu(self.down(hidden))  # (B, N, r); scaling here is cheaper than at width D
        return F.linear(squeezed, self.up.weight, self.scale * self.up.bias)
