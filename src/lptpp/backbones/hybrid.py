"""Hybrid towers: the last feature map of a frozen EfficientNet becomes the tokens of a ViT.

Dosovitskiy et al. 2021 (arXiv 2010.11929), §3.1, "Hybrid Architecture". No part of the convolutional stem is tuned:
prompts and adapters live in the transformer's blocks.
"""

import math
from functools import partial
from typing import Any

import timm
import torch
import torch.nn.functional as F
from open_clip.transformer import TextTransformer
from timm.layers import BatchNormAct2d, HybridEmbed
from timm.models.vision_transformer import VisionTransformer
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


def build_hybrid(stem: str, **architecture: Any) -> VisionTransformer:
    """Return a `VisionTransformer` on random weights whose patch embedding is the timm model `stem`.

    `architecture` holds the arguments of `VisionTransformer`: `img_size`, `embed_dim`, `depth`, ….
    """
    body = fold_batch_norms(timm.create_model(stem, num_classes=0, global_pool="").eval())  # (B, 3, H, W) → (B, S, h, w)
    return VisionTransformer(embed_layer=partial(HybridEmbed, backbone=body), patch_size=1, num_classes=0, **architecture)


def fold_batch_norms(model: nn.Module) -> nn.Module:
    """Move each batch norm into the convolution before it, in place; the outputs stay the same up to rounding."""
    for parent in list(model.modules()):
        convolution = None
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.Conv2d):
                convolution = name
            elif isinstance(child, BatchNormAct2d):
                setattr(parent, convolution, fuse_conv_bn_eval(getattr(parent, convolution), child))
                setattr(parent, name, child.act)
    return model


class TextEncoder(nn.Module):
    """A text tower by itself, as open_clip builds it: token ids (n, T) to features (n, F)."""

    def __init__(self, **architecture: Any) -> None:
        super().__init__()
        self.transformer = TextTransformer(**architecture)
        self.logit_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))

    def encode_text(self, tokens: torch.Tensor, normalize: bool = False) -> torch.Tensor:
        """Return the features (n, F) of token ids (n, T)."""
        features = self.transformer(tokens)
        return F.normalize(features, dim=-1) if normalize else features
