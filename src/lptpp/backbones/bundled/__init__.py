"""The two small towers that ship with the package and need no download; their cards lie beside the weights."""

import json
from importlib.resources import as_file, files
from typing import Any

import torch
from timm.models.vision_transformer import VisionTransformer

from lptpp.backbones.backbone import BUNDLED, Backbone
from lptpp.backbones.language import build_clip, from_clip, simple_tokenizer
from lptpp.backbones.preprocessing import Preprocessing
from lptpp.backbones.weights import load_strictly, read_weights


def load_bundled_vision(image_size: int | None = None) -> Backbone:
    """Return the bundled visual-only tower: 32 px, patch 4, width 192, 8 blocks."""
    name = BUNDLED["vision"]
    card = _card(name)
    tower = VisionTransformer(**card["kwargs"])
    load_strictly(tower, _weights(name), name)
    preprocessing = Preprocessing(tuple(card["input_size"][1:]), tuple(card["mean"]), tuple(card["std"]), "bilinear")
    return Backbone(name, tower, preprocessing).resized(image_size)


def load_bundled_language(image_size: int | None = None) -> Backbone:
    """Return the bundled CLIP: the same image tower with pre-norm, and a text tower of width 64."""
    name = BUNDLED["language"]
    card = _card(name)
    model = build_clip(card["model_cfg"])
    load_strictly(model, _weights(name), name)
    model.visual.preprocess_cfg = card["preprocess_cfg"]
    tokenizer = simple_tokenizer(card["model_cfg"]["text_cfg"]["context_length"])
    return from_clip(name, model, tokenizer).resized(image_size)


def _card(name: str) -> dict[str, Any]:
    return json.loads((files(__package__) / f"{name}.json").read_text(encoding="utf-8"))


def _weights(name: str) -> dict[str, torch.Tensor]:
    with as_file(files(__package__) / f"{name}.safetensors") as path:
        return {key: tensor.float() for key, tensor in read_weights(path).items()}
