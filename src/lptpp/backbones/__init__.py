"""Frozen pretrained ViTs: two bundled ones, any of timm's, any CLIP of open_clip's."""

from lptpp.backbones.backbone import BUNDLED, Backbone
from lptpp.backbones.bundled import load_bundled_language, load_bundled_vision
from lptpp.backbones.language import load_language
from lptpp.backbones.vision import load_vision
from lptpp.errors import UserError, did_you_mean

LOADERS = {"vision": (load_bundled_vision, load_vision), "language": (load_bundled_language, load_language)}


def load_backbone(kind: str, name: str, weights: str | None = None, image_size: int | None = None) -> Backbone:
    """Return the backbone of an expert.

    `kind` is `vision` (timm) or `language` (open_clip); the bundled names need no `weights`.
    Raises `UserError` for an unknown kind or name, an unsupported tower, or no network.
    """
    if kind not in LOADERS:
        raise UserError(f"Backbone kind {kind!r} is unknown: {did_you_mean(kind, LOADERS)}")
    load_bundled, load_named = LOADERS[kind]
    if name == BUNDLED[kind]:
        return load_bundled(image_size)
    if name in BUNDLED.values():
        raise UserError(f"Backbone {name} is not of kind {kind}: the bundled one of that kind is {BUNDLED[kind]}.")
    return load_named(name, weights, image_size)
