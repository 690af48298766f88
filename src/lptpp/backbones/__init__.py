"""Frozen pretrained ViTs: two bundled ones, any of timm's, any CLIP of open_clip's, any file with a card in it."""

from pathlib import Path

from lptpp.backbones.base import BUNDLED, Backbone
from lptpp.backbones.cards import load_bundled, load_card, read_card
from lptpp.backbones.language import load_language
from lptpp.backbones.vision import load_vision
from lptpp.utils.errors import UserError, did_you_mean

LOADERS = {"vision": load_vision, "language": load_language}


def load_backbone(kind: str, name: str, weights: str | None = None, image_size: int | None = None) -> Backbone:
    """Return the backbone of an expert.

    `kind` is `vision` (timm) or `language` (open_clip); the bundled names need no `weights`, and a local file with a
    card needs no known name. Raises `UserError` for an unknown kind or name, an unsupported tower, or no network.
    """
    if kind not in LOADERS:
        raise UserError(f"Backbone kind {kind!r} is unknown: {did_you_mean(kind, LOADERS)}")
    if name in BUNDLED.values() and weights is None:
        return _of_kind(kind, load_bundled(name)).resized(image_size)
    card = read_card(Path(weights)) if weights is not None and weights.endswith(".safetensors") else None
    if card is None:
        return LOADERS[kind](name, weights, image_size)
    if card.get("name") != name:
        raise UserError(f"{weights} holds the tower {card.get('name')}, not {name}: set the backbone's name to it.")
    return _of_kind(kind, load_card(Path(str(weights)), card)).resized(image_size)


def _of_kind(kind: str, backbone: Backbone) -> Backbone:
    if (backbone.text is None) != (kind == "vision"):
        raise UserError(
            f"Backbone {backbone.name} is not of kind {kind}: the bundled one of that kind is {BUNDLED[kind]}."
        )
    return backbone
