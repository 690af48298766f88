"""Frozen pretrained ViTs: two bundled towers, timm models, open_clip models, and files with a card."""

from pathlib import Path

from lptpp.backbones.base import BUNDLED, Backbone
from lptpp.backbones.cards import load_bundled, load_card, read_card
from lptpp.backbones.language import load_language
from lptpp.backbones.vision import load_vision
from lptpp.utils.errors import UserError, did_you_mean

LOADERS = {"vision": load_vision, "language": load_language}


def load_backbone(kind: str, name: str, weights: str | None = None, image_size: int | None = None) -> Backbone:
    """Return the backbone of an expert.

    `kind` is `vision` (timm) or `language` (open_clip). Bundled towers need no `weights`; `weights` may be a local file
    with a card (see `lptpp.backbones.cards`), whose name must be `name`.

    Raises:
        UserError: the kind or name is unknown, the tower is not supported, or the weights cannot be loaded.
    """
    if kind not in LOADERS:
        raise UserError(f"Unknown backbone kind {kind!r}: {did_you_mean(kind, LOADERS)}")
    if name in BUNDLED.values() and weights is None:
        return _of_kind(kind, load_bundled(name)).resized(image_size)
    card = read_card(Path(weights)) if weights is not None and weights.endswith(".safetensors") else None
    if card is None:
        return LOADERS[kind](name, weights, image_size)
    if card.get("name") != name:
        raise UserError(f"{weights} contains the tower {card.get('name')}, not {name}: set backbone.name to it.")
    return _of_kind(kind, load_card(Path(str(weights)), card)).resized(image_size)


def _of_kind(kind: str, backbone: Backbone) -> Backbone:
    if (backbone.text is None) != (kind == "vision"):
        raise UserError(
            f"Backbone {backbone.name} is not of kind {kind}: set backbone.kind, or use the bundled {BUNDLED[kind]}."
        )
    return backbone
