"""The backbone of an expert: a frozen pretrained ViT with its preprocessing and, for CLIP models, its text tower."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import open_clip
import torch
from torch import nn

from lptpp.backbones.families import FAMILIES
from lptpp.backbones.supported import check_supported
from lptpp.utils.errors import UserError

BUNDLED = {"vision": "vision_lite2", "language": "clip_lite0"}  # bundled towers by kind
TEXTS = 256  # texts encoded at once


@dataclass(frozen=True)
class Preprocessing:
    """Input size (height, width) in pixels, channel statistics, and how images are resized."""

    size: tuple[int, int]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    interpolation: str
    crop_share: float = 1.0  # side of the center crop over side of the resized image (timm's crop_pct)
    resize: str = "crop"  # `data.resize`: shorter side and center crop, squash, or pad
    crops: str = "crop"  # the same for random crops in training

    def at(self, size: tuple[int, int]) -> "Preprocessing":
        """Return the same preprocessing at another input size."""
        return replace(self, size=size)

    def evaluated_by(self, resize: str | None, crop_share: float | None) -> "Preprocessing":
        """Return the same preprocessing with another resize and crop in evaluation; None keeps its own."""
        return replace(
            self,
            resize=self.resize if resize is None else resize,
            crop_share=self.crop_share if crop_share is None else crop_share,
        )

    def resizing(self, mode: str | None) -> "Preprocessing":
        """Return the same preprocessing with another mode of resizing, in training too; None keeps the backbone's own.

        Squash and pad then show the whole image.
        """
        if mode is None:
            return self
        return replace(self, resize=mode, crops=mode, crop_share=self.crop_share if mode == "crop" else 1.0)


class TextTower:
    """A frozen text tower and its tokenizer.

    `logit_scale` is CLIP's factor: zero-shot logits are `logit_scale * cos`.
    """

    def __init__(self, model: Any, tokenizer: Callable[[list[str]], torch.Tensor]) -> None:
        self.model = model.float().eval().requires_grad_(False)
        self.tokenizer = tokenizer
        self.logit_scale = float(model.logit_scale.exp())

    def class_vectors(self, names: Sequence[str], templates: Sequence[str]) -> torch.Tensor:
        """Return a unit vector (C, F) for each class: the mean over templates of the unit text features (CLIP).

        Raises:
            UserError: a template has no `{}`.
        """
        for template in templates:
            if "{}" not in template:
                raise UserError(f"Template {template!r} has no {{}} in place of the class name: add it.")
        vectors = open_clip.build_zero_shot_classifier(
            self.model,
            self.tokenizer,
            [name.replace("_", " ") for name in names],
            [partial(template.replace, "{}") for template in templates],  # `format` would fail on other braces
            num_classes_per_batch=max(TEXTS // len(templates), 1),
        )  # (F, C)
        return vectors.T.contiguous()


@dataclass
class Backbone:
    """A frozen tower, its preprocessing, and the text tower of a vision-language model.

    `tower` is a timm ViT of one of the `FAMILIES`: `tower.forward_head(tokens, pre_logits=True)` gives the pooled token
    (B, D), and `tower.head` maps it to the feature space (B, F): the identity, or CLIP's projection.
    """

    name: str
    tower: Any
    preprocessing: Preprocessing
    text: TextTower | None = None
    card: str | None = None  # digest of the card in its file, which has more of the architecture than the weights
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
        """Change the input size in place, with resampled position embeddings, and return the backbone.

        The fingerprint does not change. None keeps the size.

        Raises:
            UserError: the size is not a multiple of the patch size.
        """
        if image_size is None or (image_size, image_size) == self.preprocessing.size:
            return self
        family = FAMILIES[type(self.tower)]
        patch = family.patch_size(self.tower)
        if image_size < patch or image_size % patch:
            raise UserError(f"image_size={image_size} of {self.name}: expected a multiple of the patch size {patch}.")
        family.resize(self.tower, (image_size, image_size))
        self.tower.requires_grad_(False)
        self.preprocessing = self.preprocessing.at((image_size, image_size))
        return self


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
