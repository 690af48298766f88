"""Visual backbones: timm models by their exact names. With prompts, a ViT; without, any model."""

from importlib import import_module
from typing import Any

import timm
import torch
from timm.data import resolve_data_config
from timm.models import split_model_name_tag
from torch import nn

from lptpp.backbones.base import Backbone
from lptpp.backbones.hub import fetch
from lptpp.backbones.names import NO_TAGS, unknown_name
from lptpp.backbones.pooled import ADVICE, PooledTower, pooled_width
from lptpp.backbones.preprocessing import Preprocessing
from lptpp.backbones.supported import no_prompts
from lptpp.backbones.weights import downloading, load_strictly, read_weights
from lptpp.utils.errors import UserError, did_you_mean

HUB_FILES = ("model.safetensors", "pytorch_model.bin")  # timm reads the second without running any code in it


def load_vision(
    name: str,
    weights: str | None = None,
    image_size: int | None = None,
    prompts: bool = True,
    revision: str | None = None,
) -> Backbone:
    """Return a timm model, from the hub (`weights=None`, the name has a tag) or a local file.

    `revision` is a commit, a tag or a branch of the hub.

    Raises:
        UserError: the name is unknown or has no pretrained tag, the tower cannot have `prompts`, or the weights cannot
            be loaded.
    """
    architecture, tag = split_model_name_tag(name)
    _check_name(name, architecture, tag, from_file=weights is not None)
    empty = empty_tower(name)  # needs neither memory nor a download
    reason = no_prompts(empty)
    if prompts and reason is not None:
        raise UserError(f"Backbone {name} {reason}. {ADVICE}")
    model, commit = _from_hub(name, revision) if weights is None else (_from_file(name, weights), None)
    preprocessing = own_preprocessing(model)
    tower = model if reason is None else PooledTower(model, pooled_width(empty, preprocessing.size, name))
    return Backbone(name, tower, preprocessing, revision=commit).resized(image_size)


def vision_preprocessing(name: str, weights: str | None = None) -> Preprocessing:
    """Return the preprocessing of `load_vision`, without loading weights.

    Raises:
        UserError: the name is unknown or has no pretrained tag.
    """
    architecture, tag = split_model_name_tag(name)
    _check_name(name, architecture, tag, from_file=weights is not None)
    return own_preprocessing(empty_tower(name))


def empty_tower(name: str, device: str = "meta") -> nn.Module:
    """Return a model of timm without classifier and with random weights; a tag in its name selects the input size."""
    with torch.device(device):
        return timm.create_model(name, num_classes=0)


def _check_name(name: str, architecture: str, tag: str, from_file: bool) -> None:
    if not timm.is_model(architecture):
        raise unknown_name("vision", name)
    known = timm.list_pretrained(f"{architecture}.*")
    if name not in known and (tag or not from_file):
        if not known:
            raise UserError(f"Backbone {name} {NO_TAGS}")
        reason = "has no pretrained tag" if not tag else "has an unknown pretrained tag"
        raise UserError(f"Backbone {name} {reason}: {did_you_mean(name, known)}")


def _from_hub(name: str, revision: str | None) -> tuple[nn.Module, str | None]:
    """Return a model and the revision of its weights."""
    repository = timm.get_pretrained_cfg(name).hf_hub_id
    with downloading(f"the weights of {name}"):
        if not repository:  # 19 old names: a URL, checked by the hash in it
            return timm.create_model(name, pretrained=True, num_classes=0), None
        found = fetch(repository, HUB_FILES, revision)
        local = {"file": str(found.path), "custom_load": False}
        return timm.create_model(name, pretrained=True, pretrained_cfg_overlay=local, num_classes=0), found.revision


def _from_file(name: str, path: str) -> nn.Module:
    tensors = read_weights(path)  # before the model: it takes seconds
    model = timm.create_model(name, num_classes=0)  # a tag in the name selects the preprocessing
    if no_prompts(model) is None:
        tensors = _renamed(tensors, model, path)
    classifier = _classifier(model)  # of the pretraining task, not part of a backbone
    load_strictly(model, {name: value for name, value in tensors.items() if not name.startswith(classifier)}, path)
    return model


def _classifier(model: Any) -> tuple[str, ...]:
    """Return what the names of the weights of a timm model's classifiers start with."""
    found = model.pretrained_cfg.get("classifier") or "head"
    names = [found] if isinstance(found, str) else found
    return tuple(f"{name}." for name in [*names, "head_dist"])


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


def own_preprocessing(model: nn.Module) -> Preprocessing:
    """Return the preprocessing of a model of timm."""
    settings = resolve_data_config(model=model)
    return Preprocessing(
        size=tuple(settings["input_size"][-2:]),
        mean=tuple(settings["mean"]),
        std=tuple(settings["std"]),
        interpolation=settings["interpolation"],
        crop_share=settings["crop_pct"],
        resize="squash" if settings["crop_mode"] == "squash" else "crop",
    )
