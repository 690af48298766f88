"""Converts an open_clip image tower to timm's VisionTransformer, so that one forward pass serves both."""

import copy
import re
from functools import partial

import torch
from open_clip.timm_model import TimmModel
from open_clip.transformer import AttentionalPooler, LayerScale, ResidualAttentionBlock
from open_clip.transformer import VisionTransformer as ClipTower
from timm.models.vision_transformer import VisionTransformer
from torch import nn

from lptpp.backbones.supported import check_supported
from lptpp.backbones.weights import load_strictly
from lptpp.utils.errors import UserError

RENAMED = [  # open_clip's names → timm's; all that match are applied, in order
    (r"^conv1\.", "patch_embed.proj."),
    (r"^class_embedding$", "cls_token"),
    (r"^positional_embedding$", "pos_embed"),
    (r"^ln_pre\.", "norm_pre."),
    (r"^proj$", "head.weight"),
    (r"^transformer\.resblocks\.", "blocks."),
    (r"\.ln_([12])\.", r".norm\1."),
    (r"\.ls_([12])\.", r".ls\1."),
    (r"\.attn\.in_proj_", ".attn.qkv."),
    (r"\.attn\.out_proj\.", ".attn.proj."),
    (r"\.mlp\.c_fc\.", ".mlp.fc1."),
    (r"\.mlp\.c_proj\.", ".mlp.fc2."),
]


def image_tower(visual: nn.Module, name: str) -> nn.Module:
    """Return the image tower as a timm module whose `head` is the projection to the joint space.

    Raises:
        UserError: the tower is not a plain ViT (a ResNet, attentional pooling, other blocks).
    """
    check_convertible(visual, name)
    if isinstance(visual, TimmModel):
        tower = visual.trunk
        tower.head = nn.Sequential(tower.head, *visual.head)
        return tower
    tower = _empty_tower(visual)
    load_strictly(tower, _renamed(visual), name)
    if visual.attn_pool is not None:
        tower.attn_pool, tower.global_pool, tower.pool_include_prefix = FirstQuery(visual.attn_pool), "map", True
    return tower


def check_convertible(visual: nn.Module, name: str) -> None:
    """Raise `UserError` unless the image tower is a plain ViT."""
    if isinstance(visual, TimmModel):
        return check_supported(visual.trunk, name)
    if not isinstance(visual, ClipTower):
        raise UserError(
            f"The image tower of {name} is a {type(visual).__name__}: choose a CLIP model with a ViT image tower."
        )
    plain = all(type(block) is ResidualAttentionBlock for block in visual.transformer.resblocks)
    pools = ("tok", "avg") if visual.attn_pool is None else ("tok",)
    if not plain or visual.pool_type not in pools:
        raise UserError(f"The image tower of {name} has unsupported blocks or pooling: choose a plain CLIP ViT.")


class FirstQuery(nn.Module):
    """CoCa's pooling: attention of the first of its queries to all tokens; the others are for captions (2205.01917)."""

    def __init__(self, pooler: AttentionalPooler) -> None:
        super().__init__()
        self.query = nn.Parameter(pooler.query[:1].detach().clone())  # (1, F)
        self.ln_q, self.ln_k, self.attn = pooler.ln_q, pooler.ln_k, pooler.attn

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Map tokens (B, 1+N, D) to the pooled token (B, F)."""
        query = self.ln_q(self.query).expand(tokens.shape[0], 1, -1)
        tokens = self.ln_k(tokens)
        return self.attn(query, tokens, tokens, need_weights=False)[0][:, 0]


def _norm_after_pool(visual: ClipTower) -> bool:
    # the order of normalization and pooling matters for a mean, not for a single token
    return visual.attn_pool is not None or (visual.pool_type == "avg" and visual.final_ln_after_pool)


def _empty_tower(visual: ClipTower) -> VisionTransformer:
    """Return a tower with random weights, without CoCa's pooling."""
    block = visual.transformer.resblocks[0]
    width, (pooled, joint) = len(visual.class_embedding), visual.proj.shape
    tower = VisionTransformer(
        img_size=visual.image_size,
        patch_size=visual.patch_size,
        num_classes=0,
        global_pool="avg" if visual.pool_type == "avg" else "token",
        embed_dim=width,
        depth=len(visual.transformer.resblocks),
        num_heads=block.attn.num_heads,
        mlp_ratio=(block.mlp.c_fc.out_features + 0.5) / width,  # timm rounds the width down
        init_values=1.0 if isinstance(block.ls_1, LayerScale) else None,
        pre_norm=True,
        fc_norm=_norm_after_pool(visual),
        norm_layer=partial(nn.LayerNorm, eps=block.ln_1.eps),
        act_layer=lambda: copy.deepcopy(block.mlp.gelu),
        weight_init="skip",
    )
    if isinstance(visual.ln_pre, nn.Identity):
        tower.norm_pre = nn.Identity()
    if visual.attn_pool is not None:
        tower.norm, tower.fc_norm = nn.Identity(), nn.LayerNorm(pooled, eps=visual.ln_post.eps)
    tower.num_features = pooled
    tower.head = nn.Linear(pooled, joint, bias=False)
    return tower


def _renamed(visual: ClipTower) -> dict[str, torch.Tensor]:
    renamed, after_pool = {}, "fc_norm." if _norm_after_pool(visual) else "norm."
    for name, tensor in visual.state_dict().items():
        if name.startswith("attn_pool."):
            continue
        for pattern, replacement in [*RENAMED, (r"^ln_post\.", after_pool)]:
            name = re.sub(pattern, replacement, name)
        renamed[name] = tensor
    renamed["cls_token"] = renamed["cls_token"][None, None]  # (1, 1, D)
    renamed["pos_embed"] = renamed["pos_embed"][None]  # (1, 1+N, D)
    renamed["head.weight"] = renamed["head.weight"].T  # (F, D)
    return renamed
