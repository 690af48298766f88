"""One tiny tower with random weights for each kind of timm model that takes prompts: real names, small sizes."""

from typing import Any

import timm
import torch
from torch import nn

TINY: dict[str, Any] = {"embed_dim": 48, "num_heads": 3, "depth": 3, "img_size": 32, "patch_size": 8, "num_classes": 0}
ROPE = {"rope_type": "axial", "class_token": True, "reg_tokens": 1, "global_pool": "token"}
FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {  # kind: timm's name, options beyond `TINY`
    "ViT": ("vit_base_patch16_224", {}),
    "ViT, mean": ("vit_base_patch16_siglip_gap_224", {}),
    "ViT, attention pooling": ("vit_base_patch16_siglip_224", {}),
    "DINOv2, registers": ("vit_small_patch14_reg4_dinov2", {}),
    "DeiT, distilled": ("deit_tiny_distilled_patch16_224", {}),
    "EVA": ("eva_giant_patch14_224", {}),
    "EVA02": ("eva02_base_patch14_224", {}),
    "EVA02-CLIP": ("eva02_base_patch16_clip_224", {}),
    "EVA02, wide": ("eva02_large_patch14_224", {}),
    "DINOv3": ("vit_small_patch16_dinov3", {}),
    "DINOv3, biases": ("vit_small_patch16_dinov3_qkvb", {}),
    "DINOv3, SwiGLU": ("vit_small_plus_patch16_dinov3", {}),
    "PE-Core": ("vit_pe_core_base_patch16_224", {}),
    "PE-Spatial": ("vit_pe_spatial_base_patch16_512", {}),
    "ViT, RoPE and registers": ("vit_medium_patch16_rope_reg1_gap_256", {}),
    "ViT, axial RoPE": ("vit_small_patch16_rope_224", {}),
    "ViT, mixed RoPE": ("vit_small_patch16_rope_mixed_ape_224", {}),
    "Sapiens2": ("vit_5b_patch16_sapiens2", {"num_kv_heads": (None, 1, 1)}),
    "NaFlexViT, mean": ("naflexvit_base_patch16_gap", {}),
    "NaFlexViT, attention pooling": ("naflexvit_base_patch16_map", {}),
    "NaFlexViT, RoPE": ("naflexvit_base_patch16_gap", ROPE),
    "NaFlexViT, mixed RoPE": ("naflexvit_base_patch16_gap", ROPE | {"rope_type": "mixed"}),
    "BEiT": ("beit_base_patch16_224", {}),
    "BEiT, one bias": ("beit_base_patch16_224", {"use_rel_pos_bias": False, "use_shared_rel_pos_bias": True}),
    "BEiT, both biases": ("beit_base_patch16_224", {"use_shared_rel_pos_bias": True, "use_abs_pos_emb": True}),
    "BEiTv2, class token": ("beitv2_base_patch16_224", {"global_pool": "token"}),
    "RelPos": ("vit_relpos_small_patch16_224", {}),
    "RelPos, class token": ("vit_relpos_base_patch16_clsgap_224", {"global_pool": "token"}),
    "RelPos, one bias": ("vit_srelpos_small_patch16_224", {}),
    "RelPos, table": ("vit_relpos_small_patch16_224", {"rel_pos_type": "bias"}),
}


def tiny(kind: str, **options: object) -> nn.Module:
    """Return the tower of a kind, frozen, with weights large enough that every part of it counts."""
    name, own = FAMILIES[kind]
    tower = timm.create_model(name, **(TINY | own | options))
    generator = torch.Generator().manual_seed(1)
    for parameter in tower.parameters():
        draw = 0.15 * torch.randn(parameter.shape, generator=generator)
        parameter.data = draw + (parameter.ndim == 1) * 0.5
    return tower.eval().requires_grad_(False)
