"""Families of towers that take prompts: how each turns images into tokens, and what its blocks know of positions.

A tower is listed in `FAMILIES` by its exact class: a subclass may override anything. All of them are sequences of
pre-norm blocks with global attention; `lptpp.models.block` computes one such block of any family.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import torch
from timm.models.beit import Beit
from timm.models.deit import VisionTransformerDistilled
from timm.models.eva import Eva
from timm.models.naflexvit import NaFlexVit
from timm.models.vision_transformer import VisionTransformer
from timm.models.vision_transformer_relpos import VisionTransformerRelPos


class TokenPositions(NamedTuple):
    """What the attention of a block knows of the positions of T tokens; None is nothing.

    Prompts have no position: they are not rotated, and their bias is zero.
    """

    rope: torch.Tensor | None = None  # (N, 2d) or (heads, N, 2d), sines and cosines of the tokens after the prefix
    bias: torch.Tensor | None = None  # (1, heads, T, T), added to the attention scores


class Embedded(NamedTuple):
    """The input of the first block, and the positions for each of the L blocks."""

    tokens: torch.Tensor  # (B, T, D), prefix tokens first
    positions: Sequence[TokenPositions]


class Family(Protocol):
    """What differs between towers outside of their blocks."""

    def embed(self, tower: Any, images: torch.Tensor) -> Embedded:
        """Map images (B, 3, H, W) to tokens."""

    def tokens_read(self, tower: Any) -> int | None:
        """Return how many of the first tokens are read after the last block; None for all."""

    def patch_size(self, tower: Any) -> int:
        """Return the side of a patch in pixels."""

    def resize(self, tower: Any, size: tuple[int, int]) -> None:
        """Resample what depends on the input size (height, width) in pixels, in place."""


class Plain:
    """timm's `VisionTransformer`: position embeddings are added to the tokens, its blocks know of none.

    The base of the other families, which have the same pooling and the same methods for resizing.
    """

    def embed(self, tower: Any, images: torch.Tensor) -> Embedded:
        """Add the position embeddings and the prefix tokens."""
        tokens = tower.norm_pre(tower._pos_embed(tower.patch_embed(images)))
        return Embedded(tokens, [TokenPositions()] * len(tower.blocks))

    def tokens_read(self, tower: Any) -> int | None:
        """Return 1 if only the class token is pooled."""
        return 1 if tower.global_pool == "token" and getattr(tower, "attn_pool", None) is None else None

    def patch_size(self, tower: Any) -> int:
        """Return the side of a patch; for a hybrid, pixels per token."""
        return tower.patch_embed.feat_ratio()

    def resize(self, tower: Any, size: tuple[int, int]) -> None:
        """Resample the position embeddings."""
        tower.set_input_size(img_size=size)


class Distilled(Plain):
    """DeiT with a distillation token (2012.12877): both prefix tokens are read."""

    def tokens_read(self, tower: Any) -> int | None:
        """Return 2: the class token and the distillation token."""
        return tower.num_prefix_tokens


class Rotary(Plain):
    """EVA02, DINOv3, PE, ViT-RoPE: image tokens are rotated by their position in every block (2104.09864)."""

    def embed(self, tower: Any, images: torch.Tensor) -> Embedded:
        """Add the position embeddings and the prefix tokens."""
        tokens, rope = tower._pos_embed(tower.patch_embed(images))
        return Embedded(tower.norm_pre(tokens), _rotations(rope, tower.rope_mixed, len(tower.blocks)))


class NaFlex(Plain):
    """NaFlexViT at one size of images; it resamples its position embeddings in every forward pass."""

    def embed(self, tower: Any, images: torch.Tensor) -> Embedded:
        """Add the position embeddings and the prefix tokens."""
        tokens, grid = tower.embeds(images)
        rope = None if tower.rope is None else tower.rope.get_embed(shape=grid)
        return Embedded(tower.norm_pre(tokens), _rotations(rope, tower.rope_is_mixed, len(tower.blocks)))

    def patch_size(self, tower: Any) -> int:
        """Return the side of a patch."""
        return tower.embeds.feat_ratio()

    def resize(self, tower: Any, size: tuple[int, int]) -> None:
        """Do nothing: no weight depends on the size."""


class RelativeTable(Plain):
    """BEiT (2106.08254): a table of biases, of every block or shared by all, by the offset of query and key."""

    def embed(self, tower: Any, images: torch.Tensor) -> Embedded:
        """Add the class token and, where there are any, position embeddings."""
        tokens = tower.patch_embed(images)
        tokens = torch.cat([tower.cls_token.expand(tokens.shape[0], -1, -1), tokens], dim=1)
        if tower.pos_embed is not None:
            tokens = tokens + tower.pos_embed
        shared = None if tower.rel_pos_bias is None else tower.rel_pos_bias()[None]  # (1, heads, T, T)
        return Embedded(tokens, [TokenPositions(bias=_sum(_table(block.attn), shared)) for block in tower.blocks])


class RelativePosition(Plain):
    """timm's `VisionTransformerRelPos`: biases of every block or shared by all, from a table or an MLP."""

    def embed(self, tower: Any, images: torch.Tensor) -> Embedded:
        """Add the class token, if the tower has one."""
        tokens = tower.patch_embed(images)
        if tower.cls_token is not None:
            tokens = torch.cat([tower.cls_token.expand(tokens.shape[0], -1, -1), tokens], dim=1)
        shared = None if tower.shared_rel_pos is None else tower.shared_rel_pos.get_bias()
        own = [block.attn.rel_pos for block in tower.blocks]
        return Embedded(tokens, [TokenPositions(bias=shared if one is None else one.get_bias()) for one in own])


FAMILIES: dict[type, Family] = {
    VisionTransformer: Plain(),
    VisionTransformerDistilled: Distilled(),
    Eva: Rotary(),
    NaFlexVit: NaFlex(),
    Beit: RelativeTable(),
    VisionTransformerRelPos: RelativePosition(),
}


def _rotations(rope: torch.Tensor | None, by_block: bool, blocks: int) -> list[TokenPositions]:
    """Return the position of each block; with learned frequencies, `rope` is (L, heads, N, 2d), one for each."""
    if rope is not None and by_block:
        return [TokenPositions(rope=one) for one in rope]
    return [TokenPositions(rope=rope)] * blocks


def _table(attention: Any) -> torch.Tensor | None:
    """Return the biases (1, heads, T, T) of a block of BEiT; None if it has none of its own."""
    table = attention.relative_position_bias_table  # (offsets, heads)
    return None if table is None else table[attention.relative_position_index].permute(2, 0, 1)[None]


def _sum(own: torch.Tensor | None, shared: torch.Tensor | None) -> torch.Tensor | None:
    return shared if own is None else own if shared is None else own + shared
