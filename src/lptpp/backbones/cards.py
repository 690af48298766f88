"""Hybrid towers in one file: safetensors weights with a card in their metadata, which describes the architecture.

The two bundled towers in the folder `bundled/` are such files; `python -m pretraining ship` writes them.
"""

from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import timm
import torch
from torch import nn

from lptpp.backbones.base import Backbone
from lptpp.backbones.card_files import bundled_card, card_preprocessing
from lptpp.backbones.hybrid import TextEncoder, build_hybrid
from lptpp.backbones.text import TextTower, simple_tokenizer
from lptpp.backbones.weights import load_strictly, read_weights
from lptpp.utils.digest import content_digest
from lptpp.utils.errors import UserError

STEMS = timm.list_models(module="efficientnet")


def load_bundled(name: str) -> Backbone:
    """Return a bundled tower.

    Raises:
        UserError: its file is damaged.
    """
    with as_file(files("lptpp.backbones.bundled")) as folder:
        return load_card(folder / f"{name}.safetensors", bundled_card(name))


def load_card(path: Path, card: dict[str, Any]) -> Backbone:
    """Return the backbone in a file, with a text tower if the card describes one.

    Raises:
        UserError: the card is invalid or does not match the weights.
    """
    weights = {key: value.float() for key, value in read_weights(path).items()}
    try:
        parts = build_parts(card)
        preprocessing = card_preprocessing(card)
        tokenizer = simple_tokenizer(card["text"]["context_length"]) if "text" in card else None
    except (KeyError, TypeError, ValueError, AssertionError, RuntimeError) as error:
        raise UserError(
            f"The card in {path} is invalid ({type(error).__name__}: {error}): copy or write the file again."
        ) from error
    load_strictly(parts, weights, str(path))
    text = None if tokenizer is None else TextTower(parts["text"], tokenizer)
    return Backbone(card["name"], parts["tower"], preprocessing, text, card=content_digest(card))


def build_parts(card: dict[str, Any]) -> nn.ModuleDict:
    """Return the modules `tower` and, if the card describes one, `text`, with random weights.

    Raises:
        ValueError: the stem is not an EfficientNet of timm (or whatever the constructors raise).
    """
    if card["stem"] not in STEMS:
        raise ValueError(f"the stem {card['stem']} is not an EfficientNet of timm")
    with torch.random.fork_rng(devices=[]):
        tower = build_hybrid(card["stem"], **card["architecture"])
        if "text" not in card:
            return nn.ModuleDict({"tower": tower})
        tower.head = nn.Linear(tower.embed_dim, card["text"]["output_dim"], bias=False)
        return nn.ModuleDict({"tower": tower, "text": TextEncoder(**card["text"])})
