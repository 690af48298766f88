"""An expert: a backbone, its universal long-tailed adaptation and its cosine classifiers."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import nn

from lptpp.backbones.base import Backbone
from lptpp.models.encoder import AdaptedEncoder
from lptpp.models.head import CosineHead
from lptpp.models.pooled import PooledEncoder


class ExpertOutput(NamedTuple):
    """The outputs of an expert for a batch."""

    feature: torch.Tensor  # (B, F)
    cosines: torch.Tensor  # (B, C)
    match: torch.Tensor  # (B,) sum of the similarities of the selected keys
    phase1_cosines: torch.Tensor  # (B, C) of the phase-1 model, without group prompts
    groups: torch.Tensor | None = None  # (B, k) groups each image uses, best match first; None without group prompts


class Expert(nn.Module):
    """One adapted backbone and its cosine classifier, visual or vision-language.

    Phase 2 trains its own classifier, which keeps the phase-1 model intact: `heads[0]` belongs to phase 1, `heads[-1]`
    to the finished expert. Without group prompts they are the same.
    """

    heads: Sequence[CosineHead]

    def __init__(
        self,
        backbone: Backbone,
        encoder: AdaptedEncoder | PooledEncoder,
        classes: int,
        scale: float = 20.0,
        tune_backbone: bool = False,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.encoder = encoder
        self.scale = scale
        self.tune_backbone = tune_backbone  # full fine-tuning: a baseline
        phases = 1 if encoder.groups is None else 2
        self.heads = nn.ModuleList(  # type: ignore[assignment]
            CosineHead(classes, backbone.feature_width) for _ in range(phases)
        )

    def phase1(self, images: torch.Tensor, dropout: float = 0.0) -> ExpertOutput:
        """Return the outputs of the phase-1 model, without group prompts, for images (B, 3, H, W).

        Only training sets `dropout`, which is applied to the feature before the classifier.
        """
        feature = self.encoder.query_feature(images)
        cosines = self.heads[0](feature, dropout)
        return ExpertOutput(feature, cosines, feature.new_zeros(feature.shape[0]), cosines)

    def forward(self, images: torch.Tensor, dropout: float = 0.0) -> ExpertOutput:
        """Return the outputs for images (B, 3, H, W); the confidence scores are softmax(scale · cosines).

        `dropout`: as in `phase1`, for the classifier of phase 2.
        """
        encoding = self.encoder(images)
        phase1 = self.heads[0](encoding.query_feature)
        cosines = phase1 if self.encoder.groups is None else self.heads[-1](encoding.feature, dropout)
        return ExpertOutput(encoding.feature, cosines, encoding.match, phase1, encoding.groups)

    def phase_parameters(self, phase: int) -> Iterator[nn.Parameter]:
        """Yield the trainable parameters of phase 1 or 2."""
        encoder = self.encoder
        tower = encoder.tower if self.tune_backbone else None
        parts = {
            1: (tower, encoder.shared, encoder.adapters, encoder.stem_adapters, self.heads[0]),
            2: (encoder.groups, self.heads[-1]),
        }
        for part in parts[phase]:
            if part is not None:
                yield from part.parameters()

    def tuned_state(self) -> dict[str, torch.Tensor]:
        """Return the tensors that training may change, by name: the expert's part of a checkpoint."""
        return {
            name: tensor
            for name, tensor in self.state_dict().items()
            if self.tune_backbone or not name.startswith("encoder.tower.")
        }

    def tuned_parts(self) -> dict[str, int]:
        """Return the number of trainable parameters in each part of the finished expert."""
        encoder = self.encoder
        parts = {
            "backbone": encoder.tower if self.tune_backbone else None,
            "shared prompts": encoder.shared,
            "adapters": encoder.adapters,
            "stem adapters": encoder.stem_adapters,
            "group prompts": encoder.groups,
            "classifier": self.heads[-1],
        }
        return {name: sum(p.numel() for p in part.parameters()) for name, part in parts.items() if part is not None}
