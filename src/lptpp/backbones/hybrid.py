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

SLICE = 16  # images that a CPU takes at once: what a layer makes of them stays in its cache


def build_hybrid(stem: str, **architecture: Any) -> VisionTransformer:
    """Return a `VisionTransformer` on random weights whose patch embedding is the timm model `stem`, an EfficientNet.

    `architecture` holds the arguments of `VisionTransformer`: `img_size`, `embed_dim`, `depth`, ….
    """
    network = fold_batch_norms(timm.create_model(stem, num_classes=0, global_pool="").eval())
    return VisionTransformer(
        embed_layer=partial(StemEmbed, backbone=network), patch_size=1, num_classes=0, **architecture
    )


class StemEmbed(HybridEmbed):
    """The patch embedding of a hybrid: a convolutional stem, and a projection of its last feature map.

    The stem ends in a 1×1 convolution. What comes before it, the body, costs nearly all of the time and is never
    trained, so that its maps may be computed beforehand: `forward` takes either images or their maps.
    """

    def maps(self, images: torch.Tensor) -> torch.Tensor:
        """Map images (B, 3, H, W) to the feature maps of the stem's body (B, S, h, w)."""
        images = images.contiguous(memory_format=torch.channels_last)
        if images.device.type != "cpu" or torch.compiler.is_compiling():
            return self._body(images)
        return torch.cat([self._body(part) for part in images.split(SLICE)])

    def _body(self, images: torch.Tensor) -> torch.Tensor:
        return self.backbone.blocks(self.backbone.bn1(self.backbone.conv_stem(images)))

    def stem_tokens(self, x: torch.Tensor) -> torch.Tensor:
        """Map images (B, 3, H, W), or maps (B, S, h, w), to the stem's last feature map (B, S', h, w)."""
        maps = self.maps(x) if x.shape[1] == self.in_chans else x
        return self.backbone.bn2(self.backbone.conv_head(maps))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map images (B, 3, H, W), or maps (B, S, h, w), to tokens (B, N, D)."""
        return self.proj(self.stem_tokens(x)).flatten(2).transpose(1, 2)


def fold_batch_norms(model: nn.Module) -> nn.Module:
    """Move each batch norm into the convolution before it, in place; the outputs stay the same up to rounding."""
    for parent in list(model.modules()):
        convolution = None
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.Conv2d):
                convolution = name
            elif isinstance(child, BatchNormAct2d):
                assert convolution is not None, f"{name} follows no convolution"
                setattr(parent, convolution, fuse_conv_bn_eval(getattr(parent, convolution), child))
                setattr(parent, name, child.act)
    return model


class TextEncoder(nn.Module):
    """A text tower by itself, as open_clip builds it: token ids (n, T) to features (n, F)."""

    def __init__(self, **architecture: Any) -> None:
        super().__init__()
        self.transformer = TextTransformer(**architecture)
        self.logit_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))  # CLIP's start

    def encode_text(self, tokens: torch.Tensor, normalize: bool = False) -> torch.Tensor:
        """Return the features (n, F) of token ids (n, T)."""
        features = self.transformer(tokens)
        return F.normalize(features, dim=-1) if normalize else features
