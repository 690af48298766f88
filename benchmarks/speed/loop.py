"""The training loop on real images, sampled and augmented, against the same steps on a batch in memory."""

import gc
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch

from benchmarks.speed.goals import Finding
from benchmarks.speed.steps import step
from benchmarks.speed.timing import Case, Measurement, measure, time_ratio
from benchmarks.speed.workload import Workload, demo_settings, precisions
from lptpp.config import PhaseSettings
from lptpp.data.augment import Augmentation
from lptpp.data.cache import ImageCache
from lptpp.data.dataset import Split
from lptpp.data.loader import ViewDataset, worker_count
from lptpp.data.prepare import load_dataset
from lptpp.inference.runtime import make_accelerator
from lptpp.training.dual_sampling import TrainingData, streams
from lptpp.training.loop import Position, Stage, train
from lptpp.training.phases import group_phase, shared_phase


@dataclass(frozen=True)
class Loading:
    """How the images are read: loader processes, bytes of decoded images that are kept, page-locked memory."""

    workers: int = 0
    memory: int = 2**31
    pin: bool = False

    @classmethod
    def of_files(cls, device: torch.device, images: int) -> "Loading":
        """Return how a run reads files that do not fit in memory, with `workers=auto`."""
        return cls(worker_count("auto", device.type, images), memory=0, pin=device.type == "cuda")


class NullRecorder:
    """A recorder that records nothing."""

    def step(self, position: Position, optimizer: torch.optim.Optimizer) -> None:
        """Do nothing."""

    def epoch(self, position: Position, optimizer: torch.optim.Optimizer, summary: dict[str, float]) -> None:
        """Do nothing."""


def emoji_subset(count: int) -> Split:
    """Return `count` training images of the demo, from all classes."""
    train_split = load_dataset(demo_settings()).train
    return train_split.subset(np.linspace(0, len(train_split) - 1, min(count, len(train_split))).astype(int))


def training_loop(
    workload: Workload, phase: int, split: Split, rounds: int, loading: Loading | None = None
) -> dict[str, Measurement]:
    """Measure an epoch of `lptpp.training.loop.train` at the default precision, as many bare steps, and the loader.

    Both use the batch size of the workload; an incomplete last batch is dropped.
    """
    settings, images = _phase(phase, len(workload.images)), len(workload.images)
    steps = len(split) // images
    data = _data(workload, split.subset(np.arange(steps * settings.batch_size)), loading or Loading())
    make = partial({1: shared_phase, 2: group_phase}[phase], "expert", workload.expert, data, settings, 1.0)
    cases = [
        Case("loop", lambda: _epoch(make(), workload.device), steps * images),
        Case("bare steps", _bare(workload, phase, settings, make(), steps), steps * images),
        Case("loader alone", lambda: sum(1 for _ in make().batches(0, 0)), steps * images),
    ]
    gc.freeze()  # a phase ends with one garbage collection, not one per epoch
    measured = measure(f"{workload.label}: training loop, phase {phase}", cases, workload.device, rounds)
    gc.unfreeze()
    return measured


def findings(workload: Workload, by_phase: dict[str, dict[str, Measurement]]) -> Iterator[Finding]:
    """Yield the speed of the loop relative to bare steps."""
    shares = {phase: time_ratio(measured["bare steps"], measured["loop"]) for phase, measured in by_phase.items()}
    yield Finding("loop", workload.label, shares)


def _phase(phase: int, images: int) -> PhaseSettings:
    """Return one epoch of a phase of the demo, with `images` per step."""
    settings = {1: demo_settings().phase1, 2: demo_settings().phase2}[phase]
    return replace(settings, epochs=1, batch_size=images // len(streams(settings)))


def _data(workload: Workload, split: Split, loading: Loading) -> TrainingData:
    preprocessing, demo = workload.expert.backbone.preprocessing, demo_settings().augmentation
    augmentation = Augmentation(preprocessing, demo.smallest_crop, demo.flip, demo.color)
    images = ImageCache(split, loading.memory)
    images.fill()  # images that fit are decoded once per run, not once per epoch
    views = ViewDataset(images, split.labels, {"expert": augmentation})
    return TrainingData(views, workload.counts.cpu(), seed=0, workers=loading.workers, pin=loading.pin)


def _epoch(stage: Stage, device: torch.device) -> None:
    train(stage, make_accelerator(device.type), NullRecorder(), 0, Position(stage.key), None)


def _bare(workload: Workload, phase: int, settings: PhaseSettings, stage: Stage, steps: int) -> Callable[[], None]:
    batch = next(iter(stage.batches(0, 0)))
    in_memory = replace(workload, images=batch.inputs.to(workload.device), labels=batch.labels.to(workload.device))
    predictor = {1: workload.expert.phase1, 2: workload.expert.forward}[phase]
    take = step(in_memory, settings, phase, list(precisions(workload.device).values())[-1], predictor)

    def all_steps() -> None:
        for _ in range(steps):
            take()

    return all_steps
