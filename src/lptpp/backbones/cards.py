"""Hybrid towers in one file: safetensors weights with a card in their metadata, which describes the architecture.

The two bundled towers in the folder `bundled/` are such files; `python -m pretraining ship` writes them.
"""

import json
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import timm
import torch
from safetensors import SafetensorError, safe_open
from torch import nn

from lptpp.backbones.base import Backbone, Preprocessing
from lptpp.backbones.hybrid import TextEncoder, build_hybrid
from lptpp.backbones.text import TextTower, simple_tokenizer
from lptpp.backbones.weights import load_strictly, read_weights
from lptpp.utils.digest import content_digest, file_digest
from lptpp.utils.errors import UserError

STEMS = timm.list_models(module="efficientnet")
CARD = "card"  # metadata key
DIGESTS = {  # sha256 of the bundled files: both towers with their text towers and cards
    "clip_lite0": "14d9e73b98c34add76d708c1e8981b60fbfa00e97596d790552aebcfc284d1d6",
    "vision_lite2": "7897e6e93032fd1e114ba4ce06c13301e33f1f6f4eda17a30a51b08064a43f31",
}


def load_bundled(name: str) -> Backbone:
    """Return a bundled tower.

    Raises:
        UserError: its file is damaged.
    """
    with as_file(files("lptpp.backbones.bundled")) as folder:
        return load_card(folder / f"{name}.safetensors", bundled_card(name))


def bundled_card(name: str) -> dict[str, Any]:
    """Return the card of a bundled tower, after comparing its file with the one that was released.

    Raises:
        UserError: the file is missing or changed.
    """
    with as_file(files("lptpp.backbones.bundled")) as folder:
        path = folder / f"{name}.safetensors"
        if not path.is_file() or file_digest(path) != DIGESTS[name]:
            raise UserError(f"{path} is missing or damaged: install lptpp again (pip install --force-reinstall lptpp).")
        card = read_card(path)
    assert card is not None
    return card


def read_card(path: Path) -> dict[str, Any] | None:
    """Return the card in a safetensors file; None if it has none.

    Raises:
        UserError: the file is missing or damaged.
    """
    if not path.is_file():
        raise UserError(f"The weights file {path} does not exist: check backbone.weights.")
    try:
        with safe_open(path, "pt") as file:
            found = (file.metadata() or {}).get(CARD)
        return None if found is None else json.loads(found)
    except (OSError, SafetensorError) as error:
        raise UserError(f"The weights file {path} cannot be read ({error}): copy or convert it again.") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"The card in {path} is not valid JSON ({error}): copy or write the file again.") from error


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


def card_preprocessing(card: dict[str, Any]) -> Preprocessing:
    """Return the preprocessing that a card describes."""
    return Preprocessing(
        tuple(card["size"]), tuple(card["mean"]), tuple(card["std"]), card["interpolation"], card["crop_share"]
    )


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
