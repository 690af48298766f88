"""The mixture of long-tailed experts and the scorer that weighs them image by image (docs/method.md)."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import nn

from lptpp.backbones.base import weights_digest
from lptpp.config.stages import SCORER, StageKey
from lptpp.models.controls import MixingControls
from lptpp.models.expert import Expert, ExpertOutput
from lptpp.models.scorer import MIXES, Scorer


class MixtureOutput(NamedTuple):
    """The outputs of a mixture for a batch."""

    probabilities: torch.Tensor  # (B, C), rows sum to 1
    weights: torch.Tensor  # (B, E) scorer weights; rows sum to 1


class Mixture(nn.Module):
    """One or more experts and, from two on, a scorer. One visual expert without adapters is LPT."""

    experts: Mapping[str, Expert]
    scorer: Scorer | None
    controls: MixingControls | None

    def __init__(
        self,
        experts: Mapping[str, Expert],
        scorer_width: int = 64,
        scorer_reads: str = "features",
        mixes: str = "probabilities",
    ) -> None:
        super().__init__()
        self.experts = nn.ModuleDict(experts)  # type: ignore[assignment]
        self.mix = MIXES[mixes]
        widths = [expert.backbone.feature_width for expert in experts.values()]
        classes = len(next(iter(experts.values())).heads[-1].weight)
        several = len(widths) > 1
        self.scorer = Scorer(widths, scorer_width, classes, scorer_reads) if several else None
        self.controls = MixingControls(len(widths), classes) if several else None

    def forward_experts(self, images: Mapping[str, torch.Tensor]) -> dict[str, ExpertOutput]:
        """Return the output of each expert for its own view (B, 3, H, W) of the same images."""
        return {name: expert(images[name]) for name, expert in self.experts.items()}

    def combine(self, features: Sequence[torch.Tensor], probabilities: torch.Tensor) -> MixtureOutput:
        """Mix confidence scores (B, E, C) by the scorer weights for them and for the features, E of (B, F_e)."""
        if self.scorer is None:
            return MixtureOutput(probabilities[:, 0], torch.ones_like(probabilities[:, :, 0]))
        weights = self.scorer(features, probabilities)
        return MixtureOutput(self.mix(probabilities, weights), weights)

    def forward(self, images: Mapping[str, torch.Tensor]) -> MixtureOutput:
        """Return the outputs for one view (B, 3, H, W) by expert of the same images."""
        outputs = self.forward_experts(images)
        return self.combine([one.feature for one in outputs.values()], self.confidences(outputs))

    def confidences(self, outputs: Mapping[str, ExpertOutput]) -> torch.Tensor:
        """Return the experts' confidence scores (B, E, C), softmax(scale · cosines) each."""
        return torch.stack(
            [(self.experts[name].scale * one.cosines.float()).softmax(-1) for name, one in outputs.items()], 1
        )

    def stages(self) -> list[StageKey]:
        """Return the stages that train this mixture, in order."""
        keys = []
        for name, expert in self.experts.items():
            keys += [StageKey(name, phase) for phase in range(1, 1 + len(expert.heads))]
        return keys + ([SCORER] if self.scorer is not None else [])

    def tuned_state(self) -> dict[str, torch.Tensor]:
        """Return the tensors that training may change, by name: prompts, adapters, classifiers, the scorer."""
        state = {
            f"experts.{name}.{key}": tensor
            for name, expert in self.experts.items()
            for key, tensor in expert.tuned_state().items()
        }
        if self.scorer is not None:
            state |= {f"scorer.{key}": tensor for key, tensor in self.scorer.state_dict().items()}
        if self.controls is not None:
            state |= {f"controls.{key}": tensor for key, tensor in self.controls.state_dict().items()}
        return state

    def tuned_parts(self) -> dict[str, dict[str, int]]:
        """Return the number of trainable parameters by expert and part, and of the scorer."""
        parts = {name: expert.tuned_parts() for name, expert in self.experts.items()}
        if self.scorer is not None:
            parts["scorer"] = {"scorer": sum(parameter.numel() for parameter in self.scorer.parameters())}
        return parts

    def fingerprint(self) -> str:
        """Return a sha256 over the tuned weights and the backbone weights, which determine every output."""
        return model_fingerprint(self.tuned_state(), (expert.backbone.fingerprint for expert in self.experts.values()))

    def backbone_parameters(self) -> int:
        """Return the number of parameters of all image towers."""
        return sum(p.numel() for expert in self.experts.values() for p in expert.encoder.tower.parameters())


def model_fingerprint(tuned: Mapping[str, torch.Tensor], backbones: Iterable[str]) -> str:
    """Return `Mixture.fingerprint` of tuned weights, by name, and the fingerprint of each expert's backbone."""
    return hashlib.sha256((weights_digest(tuned) + "".join(backbones)).encode()).hexdigest()
