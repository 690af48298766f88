"""The three phases of training (docs/method.md): three functions that configure one loop.

Each phase freezes everything that it does not train.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from torch import nn

from lptpp.config import ExpertSettings, PhaseSettings, ScorerSettings
from lptpp.config.stages import SCORER, StageKey
from lptpp.data.cache import ImageCache
from lptpp.inference.pipeline import frozen_features
from lptpp.inference.runtime import Runner
from lptpp.models.expert import Expert
from lptpp.models.head import class_means
from lptpp.models.mixture import Mixture
from lptpp.samplers import Sampler
from lptpp.training.dual_sampling import ExpertTask, TrainingData, image_batches, samplers_of
from lptpp.training.loop import Batch, Stage
from lptpp.training.optim import Optimization
from lptpp.utils.random import generator


def start_head(
    name: str,
    expert: Expert,
    settings: ExpertSettings,
    images: ImageCache,
    class_names: list[str],
    runner: Runner,
) -> None:
    """Initialize the phase-1 classifier from the text tower, from class means, or leave it random."""
    head = expert.heads[0]
    if settings.head == "text":
        assert expert.backbone.text is not None
        head.start_from(expert.backbone.text.class_vectors(class_names, settings.templates))
    if settings.head == "class_means":
        features, labels = frozen_features(expert, images, runner, f"{name}: class means")
        head.start_from(class_means(features, labels, unseen=head.weight.detach().cpu()).to(head.weight.device))


def shared_phase(name: str, expert: Expert, data: TrainingData, settings: PhaseSettings, rate_factor: float) -> Stage:
    """Phase 1: train shared prompts, adapters and the first classifier."""
    task = ExpertTask(expert, partial(expert.phase1, dropout=settings.dropout), data.counts, settings)
    return _expert_stage(StageKey(name, 1), task, list(expert.phase_parameters(1)), data, settings, rate_factor)


def group_phase(name: str, expert: Expert, data: TrainingData, settings: PhaseSettings, rate_factor: float) -> Stage:
    """Phase 2: train group prompts, keys and the second classifier, which starts from that of phase 1."""
    task = ExpertTask(expert, partial(expert.forward, dropout=settings.dropout), data.counts, settings)
    stage = _expert_stage(StageKey(name, 2), task, list(expert.phase_parameters(2)), data, settings, rate_factor)
    return replace(stage, begin=lambda: expert.heads[-1].load_state_dict(expert.heads[0].state_dict()))


def scorer_phase(mixture: Mixture, outputs: "ScorerData", settings: ScorerSettings) -> Stage:
    """Phase 3: train the scorer on the outputs of the frozen experts, computed once."""
    assert mixture.scorer is not None
    steps = -(-len(outputs.orders[0]) // settings.batch_size)
    return Stage(
        key=SCORER,
        task=ScorerTask(mixture, [feature.shape[1] for feature in outputs.features]),
        parameters=list(mixture.scorer.parameters()),
        optimization=_optimization(settings, steps),
        epochs=settings.epochs,
        batches=partial(_scorer_batches, outputs, settings.batch_size),
    )


def _expert_stage(
    key: StageKey,
    task: ExpertTask,
    parameters: list[nn.Parameter],
    data: TrainingData,
    settings: PhaseSettings,
    rate_factor: float,
) -> Stage:
    steps = -(-len(data.views) // settings.batch_size)
    warmup_rate = None if settings.warmup_rate is None else settings.warmup_rate * rate_factor
    return Stage(
        key=key,
        task=task,
        parameters=parameters,
        optimization=replace(_optimization(settings, steps, rate_factor), warmup_rate=warmup_rate),
        epochs=settings.epochs,
        batches=partial(image_batches, str(key), data, settings, samplers_of(data, settings)),
    )


def _optimization(settings: PhaseSettings | ScorerSettings, steps: int, rate_factor: float = 1.0) -> Optimization:
    return Optimization(
        name=settings.optimizer,
        learning_rate=settings.learning_rate * rate_factor,
        weight_decay=settings.weight_decay,
        warmup_steps=settings.warmup_epochs * steps,
        steps=settings.epochs * steps,
        batch_size=settings.batch_size,
    )


@dataclass(frozen=True)
class ScorerData:
    """The expert outputs for n views of images, and which of the views each epoch of phase 3 draws.

    If the scorer reads features and mixes probabilities, the loss needs only the confidence scores of the true class:
    then C' is 1 and the targets are 0. Otherwise C' is C and the targets are the labels.
    """

    features: Sequence[torch.Tensor]  # of each expert, unit length, (n, F_e)
    confidences: torch.Tensor  # (n, E, C')
    targets: torch.Tensor  # (n,)
    orders: Sequence[np.ndarray]  # for each epoch, (draws,): indices of views


def scorer_orders(labels: np.ndarray, settings: ScorerSettings, seed: int) -> list[np.ndarray]:
    """Return the indices of the views that each epoch of phase 3 draws, (views,) each, for their labels (views,)."""
    sampler = Sampler(labels, int(labels.max()) + 1, settings.sampler)
    return [sampler.order(generator(seed, str(SCORER), epoch)) for epoch in range(settings.epochs)]


class ScorerTask(nn.Module):
    """Cross-entropy of the mixture: −log Σ_e w_e p_e[y] if it mixes probabilities."""

    def __init__(self, mixture: Mixture, widths: Sequence[int]) -> None:
        super().__init__()
        assert mixture.scorer is not None
        self.scorer, self.mix = mixture.scorer, mixture.mix
        self.widths = list(widths)

    def forward(self, inputs: torch.Tensor, targets: torch.Tensor, epoch: int, stream: int = 0) -> torch.Tensor:
        """Return the loss of inputs (B, ΣF_e + E·C'): features, then confidence scores."""
        *features, flat = inputs.split([*self.widths, inputs.shape[1] - sum(self.widths)], dim=1)
        confidences = flat.unflatten(1, (len(self.widths), -1))  # (B, E, C')
        mixed = self.mix(confidences, self.scorer(features, confidences))  # (B, C')
        return -mixed.gather(1, targets[:, None]).clamp(min=1e-6).log().mean()


def _scorer_batches(outputs: ScorerData, size: int, epoch: int, first: int) -> Iterable[Batch]:
    for part in torch.from_numpy(outputs.orders[epoch]).split(size)[first:]:
        inputs = [*(feature[part] for feature in outputs.features), outputs.confidences[part].flatten(1)]
        yield Batch(torch.cat(inputs, dim=1), outputs.targets[part], lambda: ["expert outputs"])
