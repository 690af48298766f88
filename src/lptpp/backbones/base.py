"""A frozen pretrained ViT with everything that comes with it."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
import torch.nn.functional as F
from timm.layers import Attention
from timm.models.vision_transformer import Block, VisionTransformer
from torch import nn

from lptpp.utils.errors import UserError


@dataclass(frozen=True)
class Preprocessing:
    """Image size (height, width) in pixels, channel statistics, and the way to that size."""

    size: tuple[int, int]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    interpolation: str
    crop_share: float = 1.0  # side of the center crop over side of the resized image (timm's crop_pct)
    squash: bool = False  # resize to `size` without keeping the aspect; else shorter side, then center crop

    def at(self, size: tuple[int, int]) -> "Preprocessing":
        """Return the same preprocessing at another image size."""
        return replace(self, size=size)


class TextTower:
    """A frozen text tower and its tokenizer.

    `logit_scale` is the factor CLIP puts before its cosines; zero-shot logits are `logit_scale * cos`.
    """

    def __init__(self, model: Any, tokenizer: Callable[[list[str]], torch.Tensor]) -> None:
        self.model = model.float().eval().requires_grad_(False)
        self.tokenizer = tokenizer
        self.logit_scale = float(model.logit_scale.exp())

    @torch.inference_mode()
    def encode(self, texts: list[str], batch_size: int = 256) -> torch.Tensor:
        """Return the unit features (n, F) of `texts`."""
        parts = [texts[start : start + batch_size] for start in range(0, len(texts), batch_size)]
        return torch.cat([self.model.encode_text(self.tokenizer(part), normalize=True) for part in parts])

    def class_vectors(self, names: Sequence[str], templates: Sequence[str]) -> torch.Tensor:
        """Return a unit vector (C, F) for each class: the mean over templates of the unit text features (CLIP).

        Raises `UserError` for a template without `{}`.
        """
        for template in templates:
            if "{}" not in template:
                raise UserError(f"Template {template!r} has no {{}}: write the place of the class name as {{}}.")
        texts = [template.replace("{}", name.replace("_", " ")) for name in names for template in templates]
        features = self.encode(texts).clone()  # out of inference mode, so that a head may start from it
        return F.normalize(features.view(len(names), len(templates), -1).mean(1), dim=-1)


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
