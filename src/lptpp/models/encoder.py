"""The universal long-tailed adaptation of one frozen tower (docs/method.md)."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple, Self

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from lptpp.backbones.families import FAMILIES, Embedded, TokenPositions
from lptpp.models.adapters import Adapter
from lptpp.models.block import adapted_block
from lptpp.models.prompts import GroupPrompts, Selection, SharedPrompts
from lptpp.models.stem_adapters import stem_adapters
from lptpp.utils.errors import UserError


class Encoding(NamedTuple):
    """The features of a batch."""

    query_feature: torch.Tensor  # (B, F) of the phase-1 model, without group prompts
    feature: torch.Tensor  # (B, F) with group prompts; the same if there are none
    match: torch.Tensor  # (B,) sum of the similarities of the selected keys
    groups: torch.Tensor | None = None  # (B, k) groups each image uses, best match first; None without group prompts


class AdaptedEncoder(nn.Module):
    """A frozen tower with shared prompts, adapters and group prompts; size 0 removes a part.

    Raises:
        UserError: the sizes of the group prompts do not fit the tower, or it has no stem for adapters.
    """

    def __init__(
        self,
        tower: Any,
        shared_prompts: int = 0,
        adapter_width: int = 0,
        adapter_scale: float = 0.1,
        group_prompts: int = 0,
        num_groups: int = 20,
        top_k: int = 2,
        group_blocks: int = 6,
        stem_adapter_width: int = 0,
    ) -> None:
        super().__init__()
        depth, width = len(tower.blocks), tower.embed_dim
        if group_prompts:
            _check_sizes(depth, num_groups, top_k, group_blocks)
        self.tower = tower
        self.run_block: Callable[..., torch.Tensor] = adapted_block
        self.family = FAMILIES[type(tower)]
        self.read = self.family.tokens_read(tower)  # tokens read after the last block; None for all
        self.first_group_block = depth - group_blocks if group_prompts else depth
        self.shared = SharedPrompts(depth, shared_prompts, width) if shared_prompts else None
        self.adapters = (
            nn.ModuleList(Adapter(width, adapter_width, adapter_scale) for _ in range(depth)) if adapter_width else None
        )
        self.stem_adapters = stem_adapters(tower, stem_adapter_width) if stem_adapter_width else None
        groups = (num_groups, top_k, group_blocks, group_prompts, width, tower.num_features)
        self.groups = GroupPrompts(*groups) if group_prompts else None

    def recompute(self, wanted: bool) -> None:
        """Keep only the inputs of the blocks for the backward pass and compute the rest again there (1604.06174)."""
        recomputed = partial(checkpoint, adapted_block, use_reentrant=False, preserve_rng_state=False)
        self.run_block = recomputed if wanted else adapted_block

    def frozen(self) -> Self:
        """Return the encoder of the tower alone."""
        return type(self)(self.tower)

    def query(self, images: torch.Tensor) -> torch.Tensor:
        """Return the pooled token (B, D) of the phase-1 model, which selects groups, for images (B, 3, H, W)."""
        tokens, positions = self._embed(images)
        return self._pool(self._blocks(tokens, positions, 0, len(self.tower.blocks)))

    def query_feature(self, images: torch.Tensor) -> torch.Tensor:
        """Return the features (B, F) of the phase-1 model for images (B, 3, H, W)."""
        return self.tower.head(self.query(images))

    def forward(self, images: torch.Tensor, select: Selection | None = None) -> Encoding:
        """Return both features of images (B, 3, H, W); the blocks before the group prompts run once for both.

        `select` replaces the selection of the best-matching groups.
        """
        depth = len(self.tower.blocks)
        tokens, positions = self._embed(images)
        early = self._blocks(tokens, positions, 0, self.first_group_block)
        query = self._pool(self._blocks(early, positions, self.first_group_block, depth))  # (B, D)
        query_feature = self.tower.head(query)
        if self.groups is None:
            return Encoding(query_feature, query_feature, query.new_zeros(query.shape[0]))
        prompts, match, groups = self.groups(query, select)  # (B, K, P, D)
        late = self._blocks(early, positions, self.first_group_block, depth, prompts)
        return Encoding(query_feature, self.tower.head(self._pool(late)), match, groups)

    def _embed(self, images: torch.Tensor) -> Embedded:
        if self.stem_adapters is not None:
            images = self.tower.patch_embed.maps(images, self.stem_adapters)
        return self.family.embed(self.tower, images)

    def _blocks(
        self,
        x: torch.Tensor,
        positions: Sequence[TokenPositions],
        first: int,
        last: int,
        group_prompts: torch.Tensor | None = None,
    ) -> torch.Tensor:
        for index in range(first, last):
            prompts = [] if self.shared is None else [self.shared(index)]
            if group_prompts is not None:
                prompts.append(group_prompts[:, index - first])
            adapter = None if self.adapters is None else self.adapters[index]
            keep = self.read if index == len(self.tower.blocks) - 1 else None
            x = self.run_block(self.tower.blocks[index], x, prompts, adapter, keep, positions[index])
        return x

    def _pool(self, x: torch.Tensor) -> torch.Tensor:
        return self.tower.forward_head(self.tower.norm(x), pre_logits=True)


def _check_sizes(depth: int, num_groups: int, top_k: int, group_blocks: int) -> None:
    if not 1 <= group_blocks <= depth:
        raise UserError(f"group_blocks={group_blocks}: expected 1 to {depth}, the number of blocks of the backbone.")
    if not 1 <= top_k <= num_groups:
        raise UserError(f"top_k={top_k}: expected 1 to {num_groups}, the number of prompt groups (num_groups).")
