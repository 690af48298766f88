"""The training loop on real pictures, drawn and augmented, against the same steps on a batch in memory."""

import gc
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import numpy as np
import torch

from goals import Finding
from lptpp.config import PhaseSettings
from lptpp.data.augment import Augmentation
from lptpp.data.cache import Pictures
from lptpp.data.dataset import Split
from lptpp.data.loader import Views
from lptpp.data.prepare import collection_of
from lptpp.inference.runtime import make_accelerator
from lptpp.training.loop import Position, Stage, train
from lptpp.training.phases import TrainingData, group_phase, shared_phase, streams
from model_speed import step
from subject import Subject, demo_settings, precisions
from timing import Case, Measured, measure, times


class Silent:
    """A recorder that nobody reads."""

    def step(self, position: Position, optimizer: torch.optim.Optimizer) -> None:
        """Forget a step."""

    def epoch(self, position: Position, optimizer: torch.optim.Optimizer, summary: dict[str, float]) -> None:
        """Forget an epoch."""


def emoji_part(count: int) -> Split:
    """Return `count` training pictures of the demo, spread over all classes."""
    train_part = collection_of(demo_settings()).train
    return train_part.subset(np.linspace(0, len(train_part) - 1, min(count, len(train_part))).astype(int))


def training_loop(subject: Subject, phase: int, split: Split, rounds: int, workers: int = 0) -> dict[str, Measured]:
    """Measure an epoch of `lptpp.training.loop.train` at the default precision, and as many bare steps.

    A step takes as many images as the subject's batch in both; the pictures that would not fill one are left out.
    """
    settings, images = _phase(phase, len(subject.images)), len(subject.images)
    steps = len(split) // images
    data = _data(subject, split.subset(np.arange(steps * settings.batch_size)), workers)
    make = partial({1: shared_phase, 2: group_phase}[phase], "expert", subject.expert, data, settings, 1.0)
    cases = [
        Case("loop", lambda: _epoch(make(), subject.device), steps * images),
        Case("bare steps", _bare(subject, phase, settings, make(), steps), steps * images),
    ]
    gc.freeze()  # a phase ends with a collection, once and not in each of its epochs: here it finds nothing to look at
    measured = measure(f"{subject.label}: training loop, phase {phase}", cases, subject.device, rounds)
    gc.unfreeze()
    return measured


def findings(subject: Subject, by_phase: dict[str, dict[str, Measured]]) -> Iterator[Finding]:
    """Yield how near the loop comes to the bare step."""
    shares = {phase: times(measured["bare steps"], measured["loop"]) for phase, measured in by_phase.items()}
    yield Finding("loop", subject.label, shares)


def _phase(phase: int, images: int) -> PhaseSettings:
    """Return one epoch of a phase of the demo, so many images in a step."""
    chosen = {1: demo_settings().phase1, 2: demo_settings().phase2}[phase]
    return replace(chosen, epochs=1, batch_size=images // len(streams(chosen)))


def _data(subject: Subject, split: Split, workers: int) -> TrainingData:
    preprocessing, demo = subject.expert.backbone.preprocessing, demo_settings().augmentation
    look = Augmentation(preprocessing, demo.smallest_crop, demo.flip, demo.color)
    pictures = Pictures(split, memory_bytes=2**31)
    pictures.fill()  # decoding is done once in a run, not once in an epoch
    views = Views(pictures, split.labels, {"expert": look})
    return TrainingData(views, subject.counts.cpu(), seed=0, workers=workers)


def _epoch(stage: Stage, device: torch.device) -> None:
    train(stage, make_accelerator(device.type), Silent(), 0, Position(stage.name), None)


def _bare(subject: Subject, phase: int, settings: PhaseSettings, stage: Stage, steps: int) -> Callable[[], None]:
    batch = next(iter(stage.batches(0, 0)))
    in_memory = replace(subject, images=batch.inputs.to(subject.device), labels=batch.labels.to(subject.device))
    judge = {1: subject.expert.phase1, 2: subject.expert.forward}[phase]
    take = step(in_memory, settings, phase, list(precisions(subject.device).values())[-1], judge)

    def all_steps() -> None:
        for _ in range(steps):
            take()

    return all_steps
