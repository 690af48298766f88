"""Vision-language backbones: open_clip models, by name and pretrained tag or local file.

With prompts, the image tower is a ViT; without, any.
"""

from typing import Any

import open_clip
import torch
from open_clip.constants import HF_SAFE_WEIGHTS_NAME, HF_WEIGHTS_NAME
from open_clip.pretrained import get_pretrained_cfg, list_pretrained_tags_by_model

from lptpp.backbones.base import Backbone
from lptpp.backbones.convert import check_convertible, image_tower, no_clip_prompts
from lptpp.backbones.hub import fetch
from lptpp.backbones.names import NO_TAGS, unknown_name
from lptpp.backbones.pooled import PooledTower, pooled_width
from lptpp.backbones.preprocessing import Preprocessing
from lptpp.backbones.text import TextTower, Tokenizer, check_text_modules, late_tokenizer, load_tokenizer, text_settings
from lptpp.backbones.weights import downloading, load_strictly, read_weights
from lptpp.utils.errors import UserError, did_you_mean

NO_TEXT = {"context_length": 1, "vocab_size": 1, "width": 64, "heads": 1, "layers": 1}  # a text tower that is not used
PUBLISHED = ("mean", "std", "interpolation", "resize_mode")  # preprocessing of a pretrained tag


def load_language(
    name: str,
    weights: str | None = None,
    image_size: int | None = None,
    prompts: bool = True,
    texts: bool = True,
    revision: str | None = None,
    tokenizer: str | None = None,
) -> Backbone:
    """Return both towers of an open_clip model; `weights` is a pretrained tag or a .safetensors file.

    `revision` is a commit, a tag or a branch of the hub; `tokenizer` a local folder with the files of a tokenizer,
    which is loaded at once if `texts` will be encoded, and otherwise only when one is.

    Raises:
        UserError: the name or tag is unknown, the image tower cannot have `prompts`, a module is missing, or the
            weights or the tokenizer cannot be loaded.
    """
    if name not in open_clip.list_models():
        raise unknown_name("language", name)
    if texts or text_settings(name).get("hf_model_name"):
        check_text_modules(name, tokenizer)
    empty = empty_model(name, device="meta").visual  # needs neither memory nor a download
    if prompts:
        check_convertible(empty, name)
    from_file = weights is not None and weights.endswith(".safetensors")
    if not from_file:
        check_tag(name, weights)
    size = _preprocessing(empty.preprocess_cfg).size
    width = None if no_clip_prompts(empty) is None else pooled_width(empty, size, name)
    tokens = (load_tokenizer if texts else late_tokenizer)(name, tokenizer)  # small, so before the weights
    model, commit = _from_file(name, str(weights)) if from_file else _from_hub(name, str(weights), revision)
    return from_clip(name, model, tokens, width, commit).resized(image_size)


def _from_file(name: str, path: str) -> tuple[Any, None]:
    weights = read_weights(path)
    model = empty_model(name)
    load_strictly(model, weights, path)
    model.visual.preprocess_cfg |= _published_preprocessing(name)
    return model, None


def _from_hub(name: str, tag: str, revision: str | None) -> tuple[Any, str]:
    """Return a model with the weights of a tag, and their revision."""
    published = get_pretrained_cfg(name, tag)
    with downloading(f"the weights {tag} of {name}"):
        found = fetch(*_hub_files(published["hf_hub"]), revision)  # before the model: it takes seconds
        model = empty_model(name)
        open_clip.load_checkpoint(model, str(found.path))
    model.visual.preprocess_cfg |= {key: published[key] for key in PUBLISHED if key in published}
    return model, found.revision


def _hub_files(place: str) -> tuple[str, list[str]]:
    """Return the repository of a tag and the files that may have its weights, safetensors first.

    open_clip reads the other formats without running any code in them.
    """
    repository, _, file = place.rpartition("/")
    if file:
        return repository, [file.rsplit(".", 1)[0] + ".safetensors", file]
    return repository, [HF_SAFE_WEIGHTS_NAME, HF_WEIGHTS_NAME.replace(".bin", ".safetensors"), HF_WEIGHTS_NAME]


def language_preprocessing(name: str, weights: str | None = None) -> Preprocessing:
    """Return the preprocessing of `load_language`, without loading weights.

    Raises:
        UserError: the name or tag is unknown.
    """
    if name not in open_clip.list_models():
        raise unknown_name("language", name)
    if weights is not None and weights.endswith(".safetensors"):
        published = _published_preprocessing(name)
    else:
        check_tag(name, weights)
        published = get_pretrained_cfg(name, weights)
    settings = empty_model(name, device="meta").visual.preprocess_cfg
    return _preprocessing(settings | {key: published[key] for key in PUBLISHED if key in published})


def from_clip(
    name: str, model: Any, tokenizer: Tokenizer, width: int | None = None, revision: str | None = None
) -> Backbone:
    """Return the backbone of an open_clip model, its image tower converted to timm.

    With a `width`, the image tower is kept as it is, for an expert without prompts; its features are that wide.
    """
    tower = image_tower(model.visual, name) if width is None else PooledTower(model.visual, width)
    preprocessing = _preprocessing(model.visual.preprocess_cfg)
    del model.visual  # it is the tower, or was converted to it
    return Backbone(name, tower, preprocessing, TextTower(model, tokenizer), revision=revision)


def empty_model(name: str, device: str = "cpu") -> Any:
    """Return an open_clip model with random weights; on the device "meta", without values, which takes no time."""
    with downloading(f"the configuration of {name}"), torch.device(device):  # of some text towers, on the hub
        return open_clip.create_model(name, load_weights=False, pretrained_text=False, device=device)


def empty_image_tower(name: str) -> Any:
    """Return the image tower of an open_clip model without values; needs neither the network nor a text module."""
    settings = open_clip.get_model_config(name)
    vision = settings["vision_cfg"] | {"timm_model_pretrained": False}
    with torch.device("meta"):
        return open_clip.CLIP(settings["embed_dim"], vision, NO_TEXT, settings.get("quick_gelu", False)).visual


def check_tag(name: str, tag: str | None) -> None:
    """Raise `UserError` unless a model has this pretrained tag, of weights that were trained with its GELU."""
    known = list_pretrained_tags_by_model(name)
    if not known:
        raise UserError(f"Backbone {name} {NO_TAGS}")
    if tag not in known:
        problem = "requires pretrained weights" if tag is None else f"has no pretrained weights {tag}"
        raise UserError(
            f"Backbone {name} {problem}: set backbone.weights to a tag or a .safetensors file;"
            f" {did_you_mean(str(tag), known)}"
        )
    wanted = get_pretrained_cfg(name, tag).get("quick_gelu", False)
    other = f"{name.removesuffix('-quickgelu')}{'-quickgelu' if wanted else ''}"
    differs = wanted != bool(open_clip.get_model_config(name).get("quick_gelu", False))
    if differs and other != name and other in open_clip.list_models():  # else its GELU is that of all its weights
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
