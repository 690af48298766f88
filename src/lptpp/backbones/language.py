"""Vision-language backbones: open_clip models with a ViT image tower, by name and pretrained tag or local file."""

from typing import Any

import open_clip
import torch
from open_clip.pretrained import get_pretrained_cfg, list_pretrained_tags_by_model

from lptpp.backbones.base import BUNDLED, Backbone, Preprocessing, TextTower
from lptpp.backbones.convert import check_convertible, image_tower
from lptpp.backbones.weights import downloading, load_strictly, read_weights
from lptpp.utils.errors import UserError, did_you_mean

PUBLISHED = ("mean", "std", "interpolation", "resize_mode")  # preprocessing of a pretrained tag


def load_language(name: str, weights: str | None = None, image_size: int | None = None) -> Backbone:
    """Return both towers of an open_clip model; `weights` is a pretrained tag or a .safetensors file.

    Raises:
        UserError: the name or tag is unknown, the image tower is not supported, or the weights cannot be loaded.
    """
    known = [BUNDLED["language"], *open_clip.list_models()]
    if name not in known:
        raise UserError(f"Unknown vision-language backbone {name}: {did_you_mean(name, known)}")
    _check_tower(name)
    if weights is not None and weights.endswith(".safetensors"):
        model = _empty(name)
        load_strictly(model, read_weights(weights), weights)
        model.visual.preprocess_cfg |= _published_preprocessing(name)
    else:
        _check_tag(name, weights)
        with downloading(f"the weights {weights} of {name}"):
            model = open_clip.create_model(name, pretrained=weights)
    with downloading(f"the tokenizer of {name}"):
        tokenizer = open_clip.get_tokenizer(name)
    return from_clip(name, model, tokenizer).resized(image_size)


def language_preprocessing(name: str, weights: str | None = None) -> Preprocessing:
    """Return the preprocessing of `load_language`, without loading weights.

    Raises:
        UserError: the name or tag is unknown.
    """
    if name not in open_clip.list_models():
        raise UserError(f"Unknown vision-language backbone {name}: {did_you_mean(name, open_clip.list_models())}")
    if weights is not None and weights.endswith(".safetensors"):
        published = _published_preprocessing(name)
    else:
        _check_tag(name, weights)
        published = get_pretrained_cfg(name, weights)
    settings = _empty(name, device="meta").visual.preprocess_cfg
    return _preprocessing(settings | {key: published[key] for key in PUBLISHED if key in published})


def from_clip(name: str, model: Any, tokenizer: open_clip.SimpleTokenizer) -> Backbone:
    """Return the backbone of an open_clip model, its image tower converted to timm."""
    tower = image_tower(model.visual, name)
    preprocessing = _preprocessing(model.visual.preprocess_cfg)
    del model.visual  # replaced by the converted tower
    return Backbone(name, tower, preprocessing, TextTower(model, tokenizer))


def _empty(name: str, device: str = "cpu") -> Any:
    with downloading(f"the configuration of {name}"):  # of some text towers, on the hub
        return open_clip.create_model(name, load_weights=False, pretrained_text=False, device=device)


def _check_tower(name: str) -> None:
    with torch.device("meta"):  # needs neither memory nor a download
        check_convertible(_empty(name, device="meta").visual, name)


def _check_tag(name: str, tag: str | None) -> None:
    known = list_pretrained_tags_by_model(name)
    if tag not in known:
        problem = "requires pretrained weights" if tag is None else f"has no pretrained weights {tag}"
        raise UserError(
            f"Backbone {name} {problem}: set backbone.weights to a tag or a .safetensors file;"
            f" {did_you_mean(str(tag), known)}"
        )
    wanted = get_pretrained_cfg(name, tag).get("quick_gelu", False)
    if wanted != bool(open_clip.get_model_config(name).get("quick_gelu", False)):
        other = f"{name}-quickgelu" if wanted else name.removesuffix("-quickgelu")
        raise UserError(f"The weights {tag} of {name} were trained with another GELU: set backbone.name to {other}.")


def _published_preprocessing(name: str) -> dict[str, Any]:
    """Return the preprocessing that all published weights of a model share: a local file does not specify its own."""
    published = [get_pretrained_cfg(name, tag) for tag in list_pretrained_tags_by_model(name)]
    values = {key: {one[key] for one in published if key in one} for key in PUBLISHED}
    return {key: next(iter(agreed)) for key, agreed in values.items() if len(agreed) == 1}


def _preprocessing(settings: dict[str, Any]) -> Preprocessing:
    size = settings["size"]
    if settings.get("resize_mode", "shortest") == "longest":
        raise UserError(
            "Preprocessing with padding (resize mode 'longest') is not supported: choose another CLIP model."
        )
    return Preprocessing(
        size=(size, size) if isinstance(size, int) else tuple(size),
        mean=tuple(settings["mean"]),
        std=tuple(settings["std"]),
        interpolation=settings["interpolation"],
        resize="squash" if settings.get("resize_mode") == "squash" else "crop",
    )


def simple_tokenizer(context_length: int) -> open_clip.SimpleTokenizer:
    """Return open_clip's byte-pair tokenizer, which needs no download."""
    return open_clip.SimpleTokenizer(context_length=context_length)


def build_clip(configuration: dict[str, Any]) -> Any:
    """Return an open_clip model of a configuration, with random weights."""
    with torch.random.fork_rng(devices=[]):
        return open_clip.CLIP(**configuration)
