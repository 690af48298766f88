"""Phases 1 and 2 of training (docs/method.md): two functions that configure one loop.

Each phase freezes everything that it does not train. Phase 3 is in `lptpp.training.scorer_phase`.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from lptpp.config import ExpertSettings, PhaseSettings, ScorerSettings
from lptpp.config.stages import StageKey
from lptpp.models.expert import Expert
from lptpp.models.head import class_means
from lptpp.models.prompts import START_DEVIATION
from lptpp.training.dual_sampling import ExpertTask, TrainingData, image_batches, samplers_of
from lptpp.training.loop import Stage
from lptpp.training.optim import Optimization
from lptpp.utils.random import generator

Features = Callable[[], tuple[torch.Tensor, torch.Tensor]]  # computes the features (n, F) and labels (n,) of images


def start_head(expert: Expert, settings: ExpertSettings, frozen: Features, class_names: list[str]) -> None:
    """Initialize the phase-1 classifier from the text tower, from class means, or leave it random.

    `frozen` computes the features of the training images by the pretrained backbone alone.
    """
    head = expert.heads[0]
    if settings.head == "text":
        assert expert.backbone.text is not None
        head.start_from(expert.backbone.text.class_vectors(class_names, settings.templates))
    if settings.head == "class_means":
        features, labels = frozen()
        head.start_from(class_means(features, labels, unseen=head.weight.detach().cpu()).to(head.weight.device))


@torch.no_grad()
def start_keys(expert: Expert, queries: Features, seed: int) -> None:
    """Initialize the keys of the groups by the centers of k-means on the directions of the queries, (n, D).

    `queries` computes the features of the training images by the phase-1 model. With fewer images than groups, the
    keys stay random.
    """
    from sklearn.cluster import KMeans  # here, as importing scikit-learn takes a second

    assert expert.encoder.groups is not None
    keys, (features, _) = expert.encoder.groups.keys, queries()
    if len(features) < len(keys):
        return
    state = int(generator(seed, "keys").integers(2**31))
    unit = F.normalize(features.float(), dim=-1).numpy().astype(np.float64)
    centers = KMeans(len(keys), n_init=3, random_state=state).fit(unit).cluster_centers_
    keys.copy_(START_DEVIATION * len(centers[0]) ** 0.5 * F.normalize(torch.from_numpy(centers), dim=-1))


def shared_phase(name: str, expert: Expert, data: TrainingData, settings: PhaseSettings, rate_factor: float) -> Stage:
    """Phase 1: train shared prompts, adapters and the first classifier."""
    expert.encoder.recompute(settings.gradient_checkpointing)
    task = ExpertTask(expert, partial(expert.phase1, dropout=settings.dropout), data.counts, settings)
    return _expert_stage(StageKey(name, 1), task, list(expert.phase_parameters(1)), data, settings, rate_factor)


def group_phase(
    name: str,
    expert: Expert,
    data: TrainingData,
    settings: PhaseSettings,
    rate_factor: float,
    keys: Callable[[], object] | None = None,
) -> Stage:
    """Phase 2: train group prompts, keys and the second classifier, which starts from that of phase 1.

    `keys` initializes the keys before the first step; by default they stay random.
    """
    expert.encoder.recompute(settings.gradient_checkpointing)
    task = ExpertTask(expert, partial(expert.forward, dropout=settings.dropout), data.counts, settings)
    stage = _expert_stage(StageKey(name, 2), task, list(expert.phase_parameters(2)), data, settings, rate_factor)

    def begin() -> None:
        expert.heads[-1].load_state_dict(expert.heads[0].state_dict())
        if keys is not None:
            keys()

    return replace(stage, begin=begin)


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
        optimization=replace(optimization(settings, steps, rate_factor), warmup_rate=warmup_rate),
        epochs=settings.epochs,
        batches=partial(image_batches, str(key), data, settings, samplers_of(data, settings)),
        shards=data.shards,
        in_order=not task.expert.tune_backbone,
    )


def optimization(settings: PhaseSettings | ScorerSettings, steps: int, rate_factor: float = 1.0) -> Optimization:
    """Return the optimizer and schedule of a phase with `steps` steps in an epoch."""
    return Optimization(
        name=settings.optimizer,
        learning_rate=settings.learning_rate * rate_factor,
        weight_decay=settings.weight_decay,
        warmup_steps=settings.warmup_epochs * steps,
        steps=settings.epochs * steps,
        batch_size=settings.batch_size,
    )
