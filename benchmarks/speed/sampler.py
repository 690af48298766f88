"""Memory and speed of the samplers of phase 2 on a very large long-tailed data set."""

import time
import tracemalloc
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from benchmarks.speed.goals import Finding
from lptpp.data.loader import EpochSamples
from lptpp.samplers import Sampler
from lptpp.training.dual_sampling import epoch_draws
from lptpp.utils.progress import console
from lptpp.utils.random import generator

KINDS = ("class_balanced", "instance_balanced")
BATCH = 128  # images per stream and step


def long_tailed_labels(images: int, classes: int) -> np.ndarray:
    """Return shuffled labels (N,): class sizes fall by a factor of 1000, and no class is empty."""
    shares = 0.001 ** np.linspace(0, 1, classes)
    rest = np.random.default_rng(0).choice(classes, size=images - classes, p=shares / shares.sum())
    labels = np.concatenate([np.arange(classes), rest])
    np.random.default_rng(1).shuffle(labels)
    return labels


def findings(images: int, classes: int) -> Iterator[Finding]:
    """Yield memory without the labels themselves, start of an epoch, and draws per second."""
    console.print(f"samplers of {images:,} images …")
    labels, on = long_tailed_labels(images, classes), "both streams of phase 2"
    samplers, draws, held, peak = _held(labels, classes)
    yield Finding("sampler memory", on, {"held": held / 1e6}, f"{peak / 1e6:.0f} at the peak")
    starts = [_seconds(partial(_start, samplers, epoch)) for epoch in range(3)]
    yield Finding("sampler start", on, {"": float(np.median(starts))})
    order = _seconds(lambda: samplers[0].order(generator(0)))
    taken = min(images, 1_000_000)
    loaded = _seconds(lambda: _take(draws, taken))
    rates = {"order of an epoch": images / order / 1e6, "with keys": taken / loaded / 1e6}
    yield Finding("sampler draws", on, rates)


def _held(labels: np.ndarray, classes: int) -> tuple[list[Sampler], EpochSamples, int, int]:
    """Return samplers, the draws of an epoch, the bytes of both, and the peak while making them."""
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    samplers = [Sampler(labels, classes, kind) for kind in KINDS]
    draws = epoch_draws("x", samplers, BATCH, 0, 0)
    held, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return samplers, draws, held - before, peak - before


def _start(samplers: list[Sampler], epoch: int) -> None:
    """Start an epoch, up to its first batch of draws."""
    assert epoch_draws("x", samplers, BATCH, 0, epoch)[: 2 * BATCH]


def _take(draws: EpochSamples, count: int) -> None:
    """Take draws batch by batch, like a loader."""
    for start in range(0, count, 2 * BATCH):
        assert draws[start : start + 2 * BATCH]


def _seconds(run: Callable[[], object]) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started
