"""A frozen pretrained ViT with everything that comes with it."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from timm.layers import Attention
from timm.models.vision_transformer import Block, VisionTransformer
from torch import nn

from lptpp.backbones.preprocessing import Preprocessing
from lptpp.backbones.text import TextTower
from lptpp.errors import UserError

BUNDLED = {"vision": "vision_lite2", "language": "clip_lite0"}  # the towers that ship with the package


@dataclass
class Backbone:
    """A frozen tower, its preprocessing, and the text tower of a vision-language one.

    `tower` is always a timm `VisionTransformer`: `tower.forward_head(tokens, pre_logits=True)` gives the pooled token
    (B, D), and `tower.head` maps it to the feature space (B, F) — the identity, or CLIP's projection.
    """

    name: str
    tower: VisionTransformer
    preprocessing: Preprocessing
    text: TextTower | None = None
    fingerprint: str = field(init=False)

    def __post_init__(self) -> None:
        check_supported(self.tower, self.name)
        self.tower.float().eval().requires_grad_(False)
        self.fingerprint = fingerprint(self.tower)

    @property
    def feature_width(self) -> int:
        """Width F of the features."""
        linear = [module for module in self.tower.head.modules() if isinstance(module, nn.Linear)]
        return linear[-1].out_features if linear else self.tower.num_features

    def resized(self, image_size: int | None) -> "Backbone":
        """Return the backbone at another image size, position embeddings resampled; the fingerprint stays.

        Raises `UserError` where the patches do not fill the image.
        """
        if image_size is None or (image_size, image_size) == self.preprocessing.size:
            return self
        patch = self.tower.patch_embed.feat_ratio()  # of a hybrid: pixels of an image for one token
        if image_size < patch or image_size % patch:
            raise UserError(f"image_size={image_size} of {self.name}: expected a multiple of its patch, {patch}.")
        self.tower.set_input_size(img_size=(image_size, image_size))
        self.tower.requires_grad_(False)
        self.preprocessing = self.preprocessing.at((image_size, image_size))
        return self


def fingerprint(tower: nn.Module) -> str:
    """Return the sha256 over names, shapes and bytes of a tower's weights, taken at its native image size."""
    return weights_digest(tower.state_dict())


def weights_digest(weights: Mapping[str, Any]) -> str:
    """Return the sha256 over names, shapes and bytes of tensors."""
    digest = hashlib.sha256()
    for name, tensor in sorted(weights.items()):
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype};".encode())
        digest.update(tensor.detach().contiguous().cpu().view(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def check_supported(tower: Any, name: str) -> None:
    """Raise `UserError` unless the tower is a plain timm `VisionTransformer` of pre-norm blocks."""
    if type(tower) is not VisionTransformer:
        found = type(tower).__name__
        raise UserError(
            f"Backbone {name} is a {found}: only timm's VisionTransformer is supported; choose a vit_* name."
        )
    odd = next((block for block in tower.blocks if not _plain(block)), None)
    if odd is not None:
        parts = f"{type(odd).__name__} with {type(getattr(odd, 'attn', None)).__name__}"
        raise UserError(f"Backbone {name} has blocks of another kind ({parts}): choose one of plain pre-norm blocks.")


def _plain(block: Any) -> bool:
    return type(block) is Block and type(block.attn) is Attention and block.attn.gate is None
