"""The state and the speed of drawing from a very large, very long-tailed data set: phase 2's two streams."""

import time
import tracemalloc
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from goals import Finding
from lptpp.data.loader import Draws
from lptpp.samplers import Sampler
from lptpp.training.phases import epoch_draws
from lptpp.utils.progress import console
from lptpp.utils.random import generator

KINDS = ("class_balanced", "instance_balanced")
BATCH = 128  # images of each stream in a step


def long_tailed_labels(images: int, classes: int) -> np.ndarray:
    """Return labels (N,) in no order: class sizes fall from 1000 to 1, and no class is empty."""
    shares = 0.001 ** np.linspace(0, 1, classes)
    rest = np.random.default_rng(0).choice(classes, size=images - classes, p=shares / shares.sum())
    labels = np.concatenate([np.arange(classes), rest])
    np.random.default_rng(1).shuffle(labels)
    return labels


def findings(images: int, classes: int) -> Iterator[Finding]:
    """Yield memory, start of an epoch, and draws a second; the labels themselves belong to the data."""
    console.print(f"samplers of {images:,} images …")
    labels, on = long_tailed_labels(images, classes), "both streams of phase 2"
    samplers, draws, held, peak = _held(labels, classes)
    yield Finding("sampler memory", on, {"held": held / 1e6}, f"{peak / 1e6:.0f} for moments")
    starts = [_seconds(partial(_start, samplers, epoch)) for epoch in range(3)]
    yield Finding("sampler start", on, {"": float(np.median(starts))})
    order = _seconds(lambda: samplers[0].order(generator(0)))
    taken = min(images, 1_000_000)
    loaded = _seconds(lambda: _take(draws, taken))
    rates = {"in the order of an epoch": images / order / 1e6, "with the key of each": taken / loaded / 1e6}
    yield Finding("sampler draws", on, rates)


def _held(labels: np.ndarray, classes: int) -> tuple[list[Sampler], Draws, int, int]:
    """Return samplers, an epoch's draws, the bytes that both hold, and the most that making them took."""
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    samplers = [Sampler(labels, classes, kind) for kind in KINDS]
    draws = epoch_draws("x", samplers, BATCH, 0, 0)
    held, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return samplers, draws, held - before, peak - before


def _start(samplers: list[Sampler], epoch: int) -> None:
    """Begin an epoch up to its first batch of draws."""
    assert epoch_draws("x", samplers, BATCH, 0, epoch)[: 2 * BATCH]


def _take(draws: Draws, count: int) -> None:
    """Take draws as a loader does: a batch at a time."""
    for start in range(0, count, 2 * BATCH):
        assert draws[start : start + 2 * BATCH]


def _seconds(run: Callable[[], object]) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started
