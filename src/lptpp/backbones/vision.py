"""Visual backbones: timm ViTs by their exact names."""

from importlib import import_module
from typing import Any

import timm
import torch
from timm.data import resolve_data_config
from timm.models import split_model_name_tag

from lptpp.backbones.base import BUNDLED, Backbone, Preprocessing
from lptpp.backbones.supported import check_supported
from lptpp.backbones.weights import downloading, load_strictly, read_weights
from lptpp.utils.errors import UserError, did_you_mean


def load_vision(name: str, weights: str | None = None, image_size: int | None = None) -> Backbone:
    """Return a timm ViT, from the hub (`weights=None`, the name has a tag) or a local file.

    Raises:
        UserError: the name is unknown or has no pretrained tag, the tower is not supported, or the weights cannot be
            loaded.
    """
    architecture, tag = split_model_name_tag(name)
    _check_name(name, architecture, tag, from_file=weights is not None)
    with torch.device("meta"):  # needs neither memory nor a download
        check_supported(timm.create_model(architecture, num_classes=0), name)
    tower = _from_hub(name) if weights is None else _from_file(name, weights)
    return Backbone(name, tower, _preprocessing(tower)).resized(image_size)


def vision_preprocessing(name: str, weights: str | None = None) -> Preprocessing:
    """Return the preprocessing of `load_vision`, without loading weights.

    Raises:
        UserError: the name is unknown or has no pretrained tag.
    """
    architecture, tag = split_model_name_tag(name)
    _check_name(name, architecture, tag, from_file=weights is not None)
    with torch.device("meta"):
        return _preprocessing(timm.create_model(name, num_classes=0))


def _check_name(name: str, architecture: str, tag: str, from_file: bool) -> None:
    if not timm.is_model(architecture):
        usable = timm.list_models(module="vision_transformer", pretrained=True)  # with their tags
        raise UserError(f"Unknown vision backbone {name}: {did_you_mean(name, [BUNDLED['vision'], *usable])}")
    known = timm.list_pretrained(f"{architecture}.*")
    if name not in known and (tag or not from_file):
        reason = "has no pretrained tag" if not tag else "has an unknown pretrained tag"
        raise UserError(f"Backbone {name} {reason}: {did_you_mean(name, known)}")


def _from_hub(name: str) -> Any:
    with downloading(f"the weights of {name}"):
        return timm.create_model(name, pretrained=True, num_classes=0)


def _from_file(name: str, path: str) -> Any:
    tower = timm.create_model(name, num_classes=0)  # a tag in the name selects the preprocessing
    tensors = _renamed(read_weights(path), tower, path)
    classifier = ("head.", "head_dist.")  # of the pretraining task, not part of a backbone
    load_strictly(tower, {name: value for name, value in tensors.items() if not name.startswith(classifier)}, path)
    return tower


def _renamed(weights: dict[str, torch.Tensor], tower: Any, path: str) -> dict[str, torch.Tensor]:
    """Return weights with timm's names and position embeddings of the tower's size; refuses to resample patches."""
    embed, found = getattr(tower, "patch_embed", None), weights.get("patch_embed.proj.weight")
    wanted = None if embed is None else embed.proj.weight.shape
    if wanted is not None and found is not None and found.ndim == 4 and found.shape[2:] != wanted[2:]:
        raise UserError(
            f"{path} does not match the model: its patches are {found.shape[-1]} pixels wide, expected {wanted[-1]};"
            " set backbone.name to the architecture of the weights."
        )
    try:
        return import_module(type(tower).__module__).checkpoint_filter_fn(weights, tower)
    except (AttributeError, KeyError, RuntimeError) as error:
        raise UserError(f"{path} does not match the model ({type(error).__name__}: {error}).") from error


def _preprocessing(tower: Any) -> Preprocessing:
    settings = resolve_data_config(model=tower)
    return Preprocessing(
        size=tuple(settings["input_size"][-2:]),
        mean=tuple(settings["mean"]),
        std=tuple(settings["std"]),
        interpolation=settings["interpolation"],
        crop_share=settings["crop_pct"],
        resize="squash" if settings["crop_mode"] == "squash" else "crop",
    )
