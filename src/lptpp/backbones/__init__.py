"""Frozen pretrained towers: two bundled towers, timm models, open_clip models, and files with a card."""

from pathlib import Path
from typing import Any

from lptpp.backbones.base import BUNDLED, Backbone, Preprocessing
from lptpp.backbones.cards import bundled_card, card_preprocessing, load_bundled, load_card, read_card
from lptpp.backbones.language import language_preprocessing, load_language
from lptpp.backbones.vision import load_vision, vision_preprocessing
from lptpp.utils.errors import UserError, did_you_mean

PREPROCESSING = {"vision": vision_preprocessing, "language": language_preprocessing}


def load_backbone(
    kind: str,
    name: str,
    weights: str | None = None,
    image_size: int | None = None,
    prompts: bool = True,
    texts: bool = True,
    **hub: str | None,
) -> Backbone:
    """Return the backbone of an expert.

    `kind` is `vision` (timm) or `language` (open_clip). Bundled towers need no `weights`; `weights` may be a local file
    with a card (see `lptpp.backbones.cards`), whose name must be `name`. Without `prompts`, any model is accepted;
    without `texts`, the tokenizer of a language model is loaded only when it is used.
    `hub` is the `revision` of the weights and, for open_clip, a local folder with the `tokenizer`.

    Raises:
        UserError: the kind or name is unknown, the tower is not supported, or the weights cannot be loaded.
    """
    if kind not in BUNDLED:
        raise UserError(f"Unknown backbone kind {kind!r}: {did_you_mean(kind, BUNDLED)}")
    if name in BUNDLED.values() and weights is None:
        return _of_kind(kind, load_bundled(name)).resized(image_size)
    card = _card(weights)
    if card is None:
        if kind == "vision":
            return load_vision(name, weights, image_size, prompts, **hub)
        return load_language(name, weights, image_size, prompts, texts, **hub)
    if card.get("name") != name:
        raise UserError(f"{weights} contains the tower {card.get('name')}, not {name}: set backbone.name to it.")
    return _of_kind(kind, load_card(Path(str(weights)), card)).resized(image_size)


def preprocessing_of(kind: str, name: str, weights: str | None = None, image_size: int | None = None) -> Preprocessing:
    """Return the preprocessing of `load_backbone` for the same arguments, without loading weights.

    Raises:
        UserError: the name is unknown, or the card of a file is invalid.
    """
    card = bundled_card(name) if name in BUNDLED.values() and weights is None else _card(weights)
    found = PREPROCESSING[kind](name, weights) if card is None else card_preprocessing(card)
    return found if image_size is None else found.at((image_size, image_size))


def _card(weights: str | None) -> dict[str, Any] | None:
    """Return the card in a file of weights; None if it has none, or for the tag of a hub."""
    return read_card(Path(weights)) if weights is not None and weights.endswith(".safetensors") else None


def _of_kind(kind: str, backbone: Backbone) -> Backbone:
    if (backbone.text is None) != (kind == "vision"):
        raise UserError(
            f"Backbone {backbone.name} is not of kind {kind}: set backbone.kind, or use the bundled {BUNDLED[kind]}."
        )
    return backbone
