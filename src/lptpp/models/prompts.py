"""Learned tokens that the frozen blocks attend to: shared by all images, or selected for each image."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import nn

START_DEVIATION = 0.02
Selection = Callable[[torch.Tensor], torch.Tensor]  # similarities (B, m) -> groups (B, k) that each image uses


class SharedPrompts(nn.Module):
    """P learned tokens for each of L blocks, the same for all images (VPT-deep, arXiv 2203.12119)."""

    def __init__(self, blocks: int, length: int, width: int) -> None:
        super().__init__()
        self.tokens = nn.Parameter(torch.randn(blocks, length, width) * START_DEVIATION)  # (L, P, D)

    def forward(self, block: int) -> torch.Tensor:
        """Return the prompts (1, P, D) of one block."""
        return self.tokens[block : block + 1]


class GroupPrompts(nn.Module):
    """m groups of prompts for the last K blocks, each with a key; an image uses the k best matches (LPT, §3.2)."""

    def __init__(
        self, num_groups: int, top_k: int, blocks: int, length: int, width: int, query_width: int | None = None
    ) -> None:
        super().__init__()
        self.top_k = top_k
        keys = torch.randn(num_groups, query_width or width)  # (m, D), or the width that pooling gives
        self.keys = nn.Parameter(START_DEVIATION * keys)  # long keys turn slowly
        self.tokens = nn.Parameter(torch.randn(num_groups, blocks, length, width) * START_DEVIATION)  # (m, K, P, D)

    def best(self, similarity: torch.Tensor) -> torch.Tensor:
        """Select the k best matches (B, k), best first: the groups of an image's own."""
        return similarity.topk(self.top_k, dim=-1).indices

    def forward(
        self, query: torch.Tensor, select: Selection | None = None
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return prompts (B, K, P, D), match (B,) and selected groups (B, k) for queries (B, D).

        The prompts are the mean of the k selected; the match is the sum of their similarities (docs/method.md).
        `select` replaces the best matches, for controls.
        """
        similarity = F.normalize(query, dim=-1) @ F.normalize(self.keys, dim=-1).T  # (B, m)
        index = (select or self.best)(similarity)  # (B, k)
        share = torch.zeros_like(similarity).scatter(1, index, 1 / index.shape[1])  # (B, m)
        prompts = share @ self.tokens.flatten(1).to(share.dtype)  # the mean as one product
        return prompts.view(query.shape[0], *self.tokens.shape[1:]), similarity.gather(1, index).sum(1), index
