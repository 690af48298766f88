"""Converts an open_clip image tower to timm's VisionTransformer, so that one forward pass serves both."""

import copy
import re
from functools import partial

import torch
from open_clip.timm_model import TimmModel
from open_clip.transformer import LayerScale, ResidualAttentionBlock
from open_clip.transformer import VisionTransformer as ClipTower
from timm.models.vision_transformer import VisionTransformer
from torch import nn

from lptpp.backbones.pooled import ADVICE
from lptpp.backbones.supported import no_prompts
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
    load_strictly(tower, _renamed(visual, after_pool="fc_norm." if _norm_after_mean(visual) else "norm."), name)
    return tower


def check_convertible(visual: nn.Module, name: str) -> None:
    """Raise `UserError` unless the image tower takes prompts."""
    reason = no_clip_prompts(visual)
    if reason is not None:
        raise UserError(f"The image tower of {name} {reason}. {ADVICE}")


def no_clip_prompts(visual: nn.Module) -> str | None:
    """Return why an image tower of open_clip takes no prompts, as the rest of a sentence; None if it takes them."""
    if isinstance(visual, TimmModel):
        return no_prompts(visual.trunk)
    if not isinstance(visual, ClipTower):
        return f"is a {type(visual).__name__}: prompts need a ViT"
    plain = all(type(block) is ResidualAttentionBlock for block in visual.transformer.resblocks)
    if not plain or visual.attn_pool is not None or visual.pool_type not in ("tok", "avg"):
        return "has unsupported blocks or pooling: prompts need a plain CLIP ViT"
    return None


def _norm_after_mean(visual: ClipTower) -> bool:
    # the order of normalization and pooling matters for a mean, not for a single token
    return visual.pool_type == "avg" and visual.final_ln_after_pool


def _empty_tower(visual: ClipTower) -> VisionTransformer:
    block = visual.transformer.resblocks[0]
    width, joint = visual.proj.shape
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
        fc_norm=_norm_after_mean(visual),
        norm_layer=partial(nn.LayerNorm, eps=block.ln_1.eps),
        act_layer=lambda: copy.deepcopy(block.mlp.gelu),
        weight_init="skip",
    )
    if isinstance(visual.ln_pre, nn.Identity):
        tower.norm_pre = nn.Identity()
    tower.head = nn.Linear(width, joint, bias=False)
    return tower


def _renamed(visual: ClipTower, after_pool: str) -> dict[str, torch.Tensor]:
    renamed = {}
    for name, tensor in visual.state_dict().items():
        for pattern, replacement in [*RENAMED, (r"^ln_post\.", after_pool)]:
            name = re.sub(pattern, replacement, name)
        renamed[name] = tensor
    renamed["cls_token"] = renamed["cls_token"][None, None]  # (1, 1, D)
    renamed["pos_embed"] = renamed["pos_embed"][None]  # (1, 1+N, D)
    renamed["head.weight"] = renamed["head.weight"].T  # (F, D)
    return renamed
