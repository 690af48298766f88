"""Samplers for long-tailed class counts: which image each draw of an epoch takes."""

from collections.abc import Callable

import numpy as np

from lptpp.config.choices import SAMPLER_NAMES
from lptpp.utils.errors import UserError, did_you_mean

BETA = 0.9999
TOGETHER = 4  # images of a class that class_aware draws one after the other, as in LPT
CHUNK = 2**20  # draws made at once, to bound memory


def effective_number(counts: np.ndarray) -> np.ndarray:
    """Return (1 − β^n) / (1 − β) for each class with n images (arXiv 1901.05555), β = 0.9999."""
    return (1 - BETA**counts) / (1 - BETA)


Weighting = Callable[[np.ndarray], np.ndarray]
# Class counts (C,) to weights that the class probabilities are proportional to; 0 for an empty class.
SAMPLERS: dict[str, Weighting] = {
    "instance_balanced": lambda counts: counts,
    "class_balanced": lambda counts: (counts > 0).astype(np.float64),
    "class_aware": lambda counts: (counts > 0).astype(np.float64),
    "square_root": np.sqrt,
    "effective_number": effective_number,
}


def register_sampler(name: str) -> Callable[[Weighting], Weighting]:
    """Return a decorator that adds a sampler: a function from class counts (C,) to what `SAMPLERS` holds."""

    def register(weighting: Weighting) -> Weighting:
        SAMPLERS[name] = weighting
        SAMPLER_NAMES.append(name)
        return weighting

    return register


def class_shares(counts: np.ndarray, kind: str) -> np.ndarray:
    """Return the long-run probability of each class, (C,), for class counts (C,) and a kind of `SAMPLERS`.

    Raises:
        UserError: unknown kind, or no class has an image.
    """
    if kind not in SAMPLERS:
        raise UserError(f"Unknown sampler {kind}: {did_you_mean(kind, SAMPLERS)}")
    weights = SAMPLERS[kind](np.asarray(counts, dtype=np.float64))
    if not weights.any():
        raise UserError("There are no training images to sample from: every class is empty.")
    return weights / weights.sum()


class Sampler:
    """Draws the images of an epoch: instance_balanced draws each once, the others a class, then one of its images.

    class_aware goes through all classes in random order, again and again, and takes `TOGETHER` images of each; it goes
    through the images of a class in the same way.

    labels: (N,) class index of each image; classes: C; kind: a name in `SAMPLERS`.

    Raises:
        UserError: as `class_shares`.
    """

    def __init__(self, labels: np.ndarray, classes: int, kind: str) -> None:
        self.kind = kind
        self.counts = np.bincount(labels, minlength=classes)  # (C,)
        assert len(self.counts) == classes, "a label is not below the number of classes"
        self.cumulative = np.cumsum(class_shares(self.counts, kind))
        self.cumulative /= self.cumulative[-1]  # ends at exactly 1: no draw falls beyond the last class
        self.images = np.arange(len(labels), dtype=np.int32)  # (N,) image indices
        if kind != "instance_balanced":
            self.images = np.argsort(labels, kind="stable").astype(np.int32)  # class after class
        self.offsets = np.cumsum(self.counts) - self.counts  # (C,) where each class starts in `images`

    def order(self, generator: np.random.Generator) -> np.ndarray:
        """Return the image index of each of the N draws of an epoch, (N,)."""
        if self.kind == "instance_balanced":
            return generator.permutation(self.images)
        if self.kind == "class_aware":
            return self._class_aware(generator)
        order = np.empty_like(self.images)
        for start in range(0, len(order), CHUNK):
            part = order[start : start + CHUNK]
            drawn = np.searchsorted(self.cumulative, generator.random(len(part)), side="right")
            part[:] = self.images[self.offsets[drawn] + generator.integers(self.counts[drawn])]
        return order

    def _class_aware(self, generator: np.random.Generator) -> np.ndarray:
        present = np.flatnonzero(self.counts)
        classes = np.repeat(rounds(present, -(-len(self.images) // TOGETHER), generator), TOGETHER)[: len(self.images)]
        order = np.empty_like(self.images)
        places = np.argsort(classes, kind="stable")  # of the draws of each class in turn
        ends = np.cumsum(np.bincount(classes, minlength=len(self.counts)))
        for one, drawn in zip(present, np.split(places, ends[present[:-1]]), strict=True):
            own = self.images[self.offsets[one] : self.offsets[one] + self.counts[one]]
            order[drawn] = rounds(own, len(drawn), generator)
        return order


def rounds(items: np.ndarray, length: int, generator: np.random.Generator) -> np.ndarray:
    """Return `length` of the items (n,): all in random order, then all in another one, and so on."""
    times = -(-length // len(items))
    return generator.permuted(np.tile(items, (times, 1)), axis=1).ravel()[:length]
