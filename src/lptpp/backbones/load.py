"""Load a backbone: a bundled tower, a timm or open_clip model, or a file with a card."""

from pathlib import Path

from lptpp.backbones.base import Backbone
from lptpp.backbones.card_files import BUNDLED, card_in
from lptpp.backbones.cards import load_bundled, load_card
from lptpp.backbones.language import load_language
from lptpp.backbones.vision import load_vision
from lptpp.utils.errors import UserError, did_you_mean


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
    card = card_in(weights)
    if card is None:
        if kind == "vision":
            return load_vision(name, weights, image_size, prompts, **hub)
        return load_language(name, weights, image_size, prompts, texts, **hub)
    if card.get("name") != name:
        raise UserError(f"{weights} contains the tower {card.get('name')}, not {name}: set backbone.name to it.")
    return _of_kind(kind, load_card(Path(str(weights)), card)).resized(image_size)


def _of_kind(kind: str, backbone: Backbone) -> Backbone:
    if (backbone.text is None) != (kind == "vision"):
        raise UserError(
            f"Backbone {backbone.name} is not of kind {kind}: set backbone.kind, or use the bundled {BUNDLED[kind]}."
        )
    return backbone
