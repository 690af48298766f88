"""Tiny hybrid towers with random weights, in files with cards like the bundled ones."""

import json
from pathlib import Path
from typing import Any

import open_clip
import torch
from safetensors.torch import save_file

from lptpp.backbones.card_files import CARD
from lptpp.backbones.cards import build_parts

VISION: dict[str, Any] = {
    "name": "vision_random",
    "stem": "test_efficientnet",
    "architecture": {
        "img_size": 64,
        "embed_dim": 24,
        "depth": 4,
        "num_heads": 2,
        "class_token": False,
        "global_pool": "avg",
    },
    "size": [64, 64],
    "mean": [0.5, 0.5, 0.5],
    "std": [0.25, 0.25, 0.25],
    "interpolation": "bilinear",
    "crop_share": 1.0,
}
TEXT = {"context_length": 16, "vocab_size": 49408, "width": 8, "heads": 2, "layers": 1, "output_dim": 20}
LANGUAGE = VISION | {"name": "clip_random", "text": TEXT}


def write_card(folder: Path, card: dict[str, Any]) -> Path:
    """Write random weights with a card to a file and return its path."""
    path = folder / f"{card['name']}.safetensors"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        parts = build_parts(card)
    save_file(parts.state_dict(), path, {CARD: json.dumps(card)})
    return path


def experts_on(cards: Path, sizes: dict[str, int]) -> dict[str, Any]:
    """Return the settings of both experts with the towers in a folder and the given sizes of their parts."""
    kinds = {"visual": ("vision", "vision_random"), "language": ("language", "clip_random")}
    backbones = {
        expert: {"kind": kind, "name": name, "weights": str(cards / f"{name}.safetensors")}
        for expert, (kind, name) in kinds.items()
    }
    heads = {"visual": "class_means", "language": "text"}
    return {expert: {"backbone": backbones[expert], "head": heads[expert], **sizes} for expert in kinds}


def build_clip(configuration: dict[str, Any]) -> Any:
    """Return an open_clip model of a configuration, with random weights."""
    with torch.random.fork_rng(devices=[]):
        return open_clip.CLIP(**configuration)
