"""Hybrid towers: the last feature map of a frozen EfficientNet becomes the tokens of a ViT.

Dosovitskiy et al. 2021 (arXiv 2010.11929), §3.1, "Hybrid Architecture". Only full fine-tuning trains the convolutional
stem; prompts and adapters are in the blocks of the transformer, and `lptpp.models.stem_adapters` in those of the stem.
"""

import math
from collections.abc import Sequence
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

SLICE = 16  # images per forward pass on a CPU, so that activations fit in its cache


def build_hybrid(stem: str, **architecture: Any) -> VisionTransformer:
    """Return a `VisionTransformer` with random weights whose patch embedding is the timm EfficientNet `stem`.

    `architecture` are the arguments of `VisionTransformer`: `img_size`, `embed_dim`, `depth`, ….
    """
    network = fold_batch_norms(timm.create_model(stem, num_classes=0, global_pool="").eval())
    return VisionTransformer(
        embed_layer=partial(StemEmbed, backbone=network), patch_size=1, num_classes=0, **architecture
    )


class StemEmbed(HybridEmbed):
    """Patch embedding of a hybrid: a convolutional stem and a projection of its last feature map.

    The stem is a body followed by a 1×1 convolution. The body takes nearly all of the time; while it is frozen,
    its feature maps can be precomputed: `forward` accepts images or feature maps.
    """

    def maps(self, images: torch.Tensor, after: Sequence[nn.Module] | None = None) -> torch.Tensor:
        """Map images (B, 3, H, W) to feature maps of the stem's body (B, S, h, w); `after` has a module per block."""
        if images.device.type != "cpu" or torch.compiler.is_compiling():
            return self._body(images, after)
        return torch.cat([self._body(part, after) for part in images.split(SLICE)])

    def _body(self, images: torch.Tensor, after: Sequence[nn.Module] | None) -> torch.Tensor:
        maps = self._first(images)
        for place, block in enumerate(self.stem_blocks()):
            maps = block(maps) if after is None else after[place](block(maps))
        return maps

    def _first(self, images: torch.Tensor) -> torch.Tensor:
        return self.backbone.bn1(self.backbone.conv_stem(images.contiguous(memory_format=torch.channels_last)))

    def stem_blocks(self) -> list[nn.Module]:
        """Return the blocks of the stem's body, in order."""
        return [block for stage in self.backbone.blocks for block in stage]

    @torch.no_grad()
    def block_channels(self) -> list[int]:
        """Return the number of channels after each block of the stem's body."""
        maps, channels = self._first(torch.zeros(1, self.in_chans, 32, 32)), []
        for block in self.stem_blocks():
            maps = block(maps)
            channels.append(maps.shape[1])
        return channels

    def stem_tokens(self, x: torch.Tensor) -> torch.Tensor:
        """Map images (B, 3, H, W), or feature maps (B, S, h, w), to the stem's last feature map (B, S', h, w)."""
        maps = self.maps(x) if x.shape[1] == self.in_chans else x
        return self.backbone.bn2(self.backbone.conv_head(maps))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map images (B, 3, H, W), or feature maps (B, S, h, w), to tokens (B, N, D)."""
        return self.proj(self.stem_tokens(x)).flatten(2).transpose(1, 2)


def fold_batch_norms(model: nn.Module) -> nn.Module:
    """Fold each batch norm into the convolution before it, in place; outputs are equal up to rounding."""
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
    """open_clip's text tower without an image tower: token ids (n, T) to features (n, F)."""

    def __init__(self, **architecture: Any) -> None:
        super().__init__()
        self.transformer = TextTransformer(**architecture)
        self.logit_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))  # CLIP's initial value

    def encode_text(self, tokens: torch.Tensor, normalize: bool = False) -> torch.Tensor:
        """Return the features (n, F) of token ids (n, T)."""
        features = self.transformer(tokens)
        return F.normalize(features, dim=-1) if normalize else features
