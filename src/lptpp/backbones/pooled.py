"""Towers without prompts: any image model (ConvNeXt, Swin, ResNet, …) as a map from images to one pooled feature.

Prompts are keys and values of global attention, so they need a ViT. Everything else can be the frozen tower of an
expert without prompts (docs/backbones.md).
"""

from typing import Any, Self

import torch
from torch import nn

from lptpp.utils.errors import UserError

ADVICE = "Without prompts (shared_prompts=0 and group_prompts=0 of the expert), any model is accepted."


class PooledTower(nn.Module):
    """A model that maps images (B, 3, H, W) to features (B, F), F = `num_features`.

    It stays in evaluation mode: batch norms keep their statistics, and no path is dropped.
    """

    def __init__(self, model: nn.Module, num_features: int) -> None:
        super().__init__()
        self.model = model
        self.num_features = num_features
        self.eval()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Map images (B, 3, H, W) to features (B, F)."""
        return pooled_feature(self.model, images)

    def train(self, mode: bool = True) -> Self:
        """Stay in evaluation mode."""
        return super().train(False)

    def set_input_size(self, size: int, name: str) -> None:
        """Accept images of `size` pixels from now on.

        Raises:
            UserError: the model cannot.
        """
        model: Any = self.model
        try:
            if hasattr(model, "set_input_size"):  # windows and position embeddings; convolutions take any size
                model.set_input_size((size, size))
            with torch.no_grad():
                self.eval()(torch.zeros(1, 3, size, size))
        except Exception as error:  # whatever the layers of any model raise
            reason = " ".join(str(error).split())[:160]
            raise UserError(
                f"image_size={size} of {name} is not possible ({reason}): remove it, or choose another size."
            ) from error


def pooled_feature(model: nn.Module, images: torch.Tensor) -> torch.Tensor:
    """Return the features (B, F) of a model; those that have no pooling of their own are averaged over positions."""
    found = model(images)
    found = found[0] if isinstance(found, tuple) else found  # the others are tokens
    if found.ndim == 3:  # tokens (B, N, F), as encoders for language models return
        return found.mean(1)
    if found.ndim == 4:  # feature maps, (B, H, W, F) or (B, F, H, W)
        return found.mean((1, 2) if getattr(model, "output_fmt", "NCHW") == "NHWC" else (2, 3))
    return found


def pooled_width(model: nn.Module, size: tuple[int, int], name: str) -> int:
    """Return the width F of the features of a model on the meta device.

    Raises:
        UserError: its output is not one vector per image.
    """
    with torch.no_grad():
        found = pooled_feature(model.eval(), torch.zeros(2, 3, *size, device="meta"))
    if not isinstance(found, torch.Tensor) or found.ndim != 2 or len(found) != 2:
        raise UserError(f"Backbone {name} does not map an image to one vector: choose another model.")
    return found.shape[1]
