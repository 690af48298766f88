"""The backbone of an expert: a frozen pretrained ViT with its preprocessing and, for CLIP models, its text tower."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from lptpp.backbones.families import FAMILIES
from lptpp.backbones.pooled import PooledTower
from lptpp.backbones.preprocessing import Preprocessing
from lptpp.backbones.supported import check_supported
from lptpp.backbones.text import TextTower
from lptpp.utils.errors import UserError


@dataclass
class Backbone:
    """A frozen tower, its preprocessing, and the text tower of a vision-language model.

    `tower` is a timm ViT of one of the `FAMILIES`: `tower.forward_head(tokens, pre_logits=True)` gives the pooled token
    (B, D), and `tower.head` maps it to the feature space (B, F): the identity, or CLIP's projection. For an expert
    without prompts, it may also be a `PooledTower`.
    """

    name: str
    tower: Any
    preprocessing: Preprocessing
    text: TextTower | None = None
    card: str | None = None  # digest of the card in its file, which has more of the architecture than the weights
    revision: str | None = None  # of weights from the hub: repository@commit
    fingerprint: str = field(init=False)

    def __post_init__(self) -> None:
        if not isinstance(self.tower, PooledTower):
            check_supported(self.tower, self.name)
        self.tower.float().eval().requires_grad_(False)
        self.fingerprint = fingerprint(self.tower)

    @property
    def feature_width(self) -> int:
        """Width F of the features."""
        if isinstance(self.tower, PooledTower):
            return self.tower.num_features
        linear = [module for module in self.tower.head.modules() if isinstance(module, nn.Linear)]
        return linear[-1].out_features if linear else self.tower.num_features

    def resized(self, image_size: int | None) -> "Backbone":
        """Change the input size in place, with resampled position embeddings, and return the backbone.

        The fingerprint does not change. None keeps the size.

        Raises:
            UserError: the size is not a multiple of the patch size, or the tower cannot change it.
        """
        if image_size is None or (image_size, image_size) == self.preprocessing.size:
            return self
        if isinstance(self.tower, PooledTower):
            self.tower.set_input_size(image_size, self.name)
        else:
            _resample(self.tower, image_size, self.name)
        self.tower.requires_grad_(False)
        self.preprocessing = self.preprocessing.at((image_size, image_size))
        return self


def _resample(tower: Any, size: int, name: str) -> None:
    """Resample what depends on the input size of a ViT, for images of `size` pixels."""
    family = FAMILIES[type(tower)]
    patch = family.patch_size(tower)
    if size < patch or size % patch:
        raise UserError(f"image_size={size} of {name}: expected a multiple of the patch size {patch}.")
    family.resize(tower, (size, size))


def fingerprint(tower: nn.Module) -> str:
    """Return the `weights_digest` of a tower at its original input size."""
    return weights_digest(tower.state_dict())


def weights_digest(weights: Mapping[str, Any]) -> str:
    """Return the sha256 over names, shapes and bytes of tensors."""
    digest = hashlib.sha256()
    for name, tensor in sorted(weights.items()):
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype};".encode())
        digest.update(tensor.detach().contiguous().cpu().view(-1).view(torch.uint8).numpy())
    return digest.hexdigest()
