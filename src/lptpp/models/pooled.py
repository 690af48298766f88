"""The encoder of an expert without prompts: a frozen tower of any kind and an adapter on its pooled feature."""

from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import nn

from lptpp.backbones.pooled import PooledTower
from lptpp.models.adapters import Adapter
from lptpp.models.encoder import Encoding
from lptpp.models.prompts import Selection
from lptpp.models.stem_adapters import stem_adapters


class PooledEncoder(nn.Module):
    """A residual bottleneck on the feature f of a frozen tower; width 0 removes it, and f stays as it is.

        h = f / rms(f)                               (B, F)
        f' = h + s · up(relu(down(h)))

    `up` starts at zero: the untrained f' has the direction of f.

    Raises:
        UserError: the tower has no stem for adapters.
    """

    shared = None
    groups = None

    def __init__(
        self, tower: PooledTower, adapter_width: int = 0, adapter_scale: float = 0.1, stem_adapter_width: int = 0
    ) -> None:
        super().__init__()
        self.tower = tower
        self.stem_adapters = stem_adapters(tower, stem_adapter_width) if stem_adapter_width else None
        self.adapters = Adapter(tower.num_features, adapter_width, adapter_scale) if adapter_width else None

    def recompute(self, wanted: bool) -> None:
        """Checkpoint the stages of a tower that is fine-tuned, if timm can; a frozen one keeps no activations."""
        model: Any = self.tower.model
        if hasattr(model, "set_grad_checkpointing"):
            model.set_grad_checkpointing(wanted)

    def frozen(self) -> Self:
        """Return the encoder of the tower alone."""
        return type(self)(self.tower)

    def query_feature(self, images: torch.Tensor) -> torch.Tensor:
        """Return the features (B, F) of images (B, 3, H, W)."""
        feature = self.tower(images)
        if self.adapters is None:
            return feature
        hidden = F.rms_norm(feature, feature.shape[-1:])  # features of all towers have one scale
        return hidden + self.adapters(hidden)

    def forward(self, images: torch.Tensor, select: Selection | None = None) -> Encoding:
        """Return the features of images (B, 3, H, W); there are no groups to `select`."""
        feature = self.query_feature(images)
        return Encoding(feature, feature, feature.new_zeros(feature.shape[0]))
