"""Which image each draw of an epoch takes, for long-tailed class counts."""

from collections.abc import Callable

import numpy as np

from lptpp.utils.errors import UserError, did_you_mean

BETA = 0.9999
CHUNK = 2**20  # draws made at once: what is beside the order stays small


def effective_number(counts: np.ndarray) -> np.ndarray:
    """Return (1 − β^n) / (1 − β) of each class with n images (arXiv 1901.05555), β = 0.9999."""
    return (1 - BETA**counts) / (1 - BETA)


# What the long-run probability of a class with n images is proportional to. Each gives 0 for n = 0.
SAMPLERS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "instance_balanced": lambda counts: counts,
    "class_balanced": lambda counts: (counts > 0).astype(np.float64),
    "square_root": np.sqrt,
    "effective_number": effective_number,
}


def class_shares(counts: np.ndarray, kind: str) -> np.ndarray:
    """Return the long-run probability of each class, (C,), for class counts (C,) and a kind of `SAMPLERS`.

    Raises UserError for an unknown kind, or if no class has an image.
    """
    if kind not in SAMPLERS:
        raise UserError(f"There is no sampler named {kind}: {did_you_mean(kind, SAMPLERS)}")
    weights = SAMPLERS[kind](np.asarray(counts, dtype=np.float64))
    if not weights.any():
        raise UserError("There is no training image to draw from: every class is empty.")
    return weights / weights.sum()


class Sampler:
    """Draws the images of an epoch: instance_balanced takes each once, the others a class, then one of it.

    labels: (N,) class index of each image; classes: C; kind: a name in `SAMPLERS`. Raises UserError as
    `class_shares` does.
    """

    def __init__(self, labels: np.ndarray, classes: int, kind: str) -> None:
        self.kind = kind
        self.counts = np.bincount(labels, minlength=classes)  # (C,)
        assert len(self.counts) == classes, "a label is not below the number of classes"
        self.cumulative = np.cumsum(class_shares(self.counts, kind))
        self.cumulative /= self.cumulative[-1]  # ends at exactly 1, so that no draw falls behind the last class
        self.images = np.arange(len(labels), dtype=np.int32)  # (N,) image indices
        if kind != "instance_balanced":
            self.images = np.argsort(labels, kind="stable").astype(np.int32)  # class after class
        self.offsets = np.cumsum(self.counts) - self.counts  # (C,) where each class starts in them

    def order(self, generator: np.random.Generator) -> np.ndarray:
        """Return the image index of each of the N draws of an epoch, (N,)."""
        if self.kind == "instance_balanced":
            return generator.permutation(self.images)
        order = np.empty_like(self.images)
        for start in range(0, len(order), CHUNK):
            part = order[start : start + CHUNK]
            drawn = np.searchsorted(self.cumulative, generator.random(len(part)), side="right")
            part[:] = self.images[self.offsets[drawn] + generator.integers(self.counts[drawn])]
        return order


def dual_weight(epoch: int, epochs: int, start: float = 0.5) -> float:
    """Return start·(T − t)/T, the weight of the instance-balanced batch in epoch t = 0 … T−1 of T (LPT++)."""
    return start * (epochs - epoch) / epochs
