"""Dual sampling: each step of phases 1 and 2 takes one batch of each stream, class-balanced and instance-balanced.

LPT (arXiv 2210.01033); docs/method.md, Sampling.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import nn

from lptpp.config import PhaseSettings, StreamSettings
from lptpp.data.loader import EpochSamples, ViewDataset, batches, interleave
from lptpp.losses import build_loss
from lptpp.models.expert import Expert, ExpertOutput
from lptpp.samplers import Sampler
from lptpp.training.loop import Batch
from lptpp.training.shards import Cut
from lptpp.utils.random import generator


@dataclass(frozen=True)
class TrainingData:
    """The training split as one expert sees it, and how it is sampled."""

    views: ViewDataset  # of this expert alone
    counts: torch.Tensor  # (C,) training images of each class
    seed: int
    workers: int
    shards: int = 1  # the pieces of each batch
    pin: bool = False  # see `lptpp.data.loader.batches`


class ExpertTask(nn.Module):
    """The loss of phases 1 and 2: loss − 0.5 · match on each stream; the weight of the second stream decays.

    See docs/method.md, Sampling.
    """

    def __init__(
        self,
        expert: Expert,
        forward_images: Callable[[torch.Tensor], ExpertOutput],
        counts: torch.Tensor,
        settings: PhaseSettings,
    ) -> None:
        super().__init__()
        self.expert = expert
        self.forward_images = forward_images
        self.settings = settings
        self.losses = nn.ModuleList(
            build_loss(stream.loss.name, counts, expert.scale, stream.loss.options) for stream in streams(settings)
        )

    def forward(self, images: torch.Tensor, labels: torch.Tensor, epoch: int, stream: int = 0) -> torch.Tensor:
        """Return the weighted loss of one stream for images (B, 3, H, W) and labels (B,)."""
        expert_outputs, settings = self.forward_images(images), self.settings
        weight = dual_weight(epoch, settings.epochs, settings.dual.weight) if stream else settings.main.weight
        return weight * (
            self.losses[stream](expert_outputs.cosines, labels)
            - settings.key_weight * expert_outputs.match.float().mean()
        )


def streams(settings: PhaseSettings) -> list[StreamSettings]:
    """Return the streams of a phase: the main one, and the dual one if its weight is not 0."""
    return [settings.main, settings.dual] if settings.dual.weight else [settings.main]


def dual_weight(epoch: int, epochs: int, start: float = 0.5) -> float:
    """Return start·(T − t)/T, the weight of the instance-balanced batch in epoch t = 0 … T−1 of T (LPT++)."""
    return start * (epochs - epoch) / epochs


def samplers_of(data: TrainingData, settings: PhaseSettings) -> list[Sampler]:
    """Return the sampler of each stream."""
    return [Sampler(data.views.labels, len(data.counts), stream.sampler) for stream in streams(settings)]


def epoch_draws(name: str, samplers: Sequence[Sampler], batch_size: int, seed: int, epoch: int) -> EpochSamples:
    """Return the draws of an epoch: `batch_size` from the sampler of each stream in turn."""
    orders = [sampler.order(generator(seed, name, epoch, place)) for place, sampler in enumerate(samplers)]
    return EpochSamples(interleave(orders, batch_size), seed, name, epoch)


def image_batches(
    name: str, data: TrainingData, settings: PhaseSettings, samplers: Sequence[Sampler], epoch: int, first: int
) -> Iterable[Batch]:
    """Yield the batches of an epoch from number `first` on, those of the streams joined: (S·B, 3, H, W).

    Of a batch that is cut into shards, only the pieces of this process are there.
    """
    draws = epoch_draws(name, samplers, settings.batch_size, data.seed, epoch)
    cut = Cut(len(draws) // len(samplers), settings.batch_size, len(samplers), data.shards)
    own = draws if data.shards == 1 else draws.part(cut.places())
    loader = batches(data.views, own, cut.size, data.workers, first, data.pin)
    for number, (views, labels, indices) in enumerate(loader, first):
        (images,) = views.values()
        yield Batch(images, labels, partial(_names, data, indices), len(samplers), cut.own(number))


def _names(data: TrainingData, indices: torch.Tensor) -> list[str]:
    return [data.views.images.split.name(index) for index in indices.tolist()]
