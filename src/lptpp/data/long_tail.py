"""A long tail drawn from the training part of a data set.

With imbalance factor f, C classes and n images in the largest, the class at place c keeps

    exponential:  floor(n / f^(c / (C - 1)))
    step:         n in the first half of the classes, floor(n / f) in the others

(Cao et al., "Learning Imbalanced Datasets with Label-Distribution-Aware Margin Loss", arXiv 1906.07413).
"""

from dataclasses import replace

import numpy as np

from lptpp.data.dataset import Collection, Split
from lptpp.utils.errors import UserError, did_you_mean
from lptpp.utils.random import generator

PROFILES = ("exponential", "step")


def draw_long_tail(collection: Collection, factor: float, profile: str, seed: int) -> Collection:
    """Return the collection with its training part drawn down to the counts of `tail_by_size`.

    Raises:
        UserError: a factor below 1, an unknown profile.
    """
    sizes = tail_by_size(collection.counts(), factor, profile)
    return replace(collection, train=draw_sizes(collection.train, sizes, seed))


def tail_by_size(counts: np.ndarray, factor: float, profile: str) -> np.ndarray:
    """Return how many images each class keeps, (C,) int64, where the largest class comes first in the profile.

    Classes of equal counts (C,) stay in their order. A class keeps at least 1 image and at most all it has; one
    without an image has no place in the profile.
    """
    order = np.argsort(-counts, kind="stable")[: np.count_nonzero(counts)]  # (classes with an image,)
    sizes = np.zeros_like(counts)
    sizes[order] = np.maximum(long_tail(counts[order], factor, profile), 1)
    return sizes


def long_tail(counts: np.ndarray, factor: float, profile: str) -> np.ndarray:
    """Return how many images each class keeps, (C,) int64: the formulas above in class order, at most `counts` (C,)."""
    if factor < 1:
        raise UserError(f"data.factor is the largest class over the smallest, so at least 1, not {factor}.")
    if profile not in PROFILES:
        raise UserError(f"Unknown data.profile {profile!r}: {did_you_mean(profile, PROFILES)}")
    classes = len(counts)
    steps = np.arange(classes) >= classes // 2
    exponents = np.arange(classes) / max(classes - 1, 1) if profile == "exponential" else steps
    return np.minimum(np.floor(counts.max() / factor**exponents).astype(np.int64), counts)


def draw_sizes(split: Split, sizes: np.ndarray, seed: int) -> Split:
    """Return `sizes[c]` images of every class c, drawn without replacement, in their former order; sizes: (C,)."""
    drawn = [
        generator(seed, "long tail", label).choice(np.flatnonzero(split.labels == label), size, replace=False)
        for label, size in enumerate(sizes)
    ]
    return split.subset(np.sort(np.concatenate(drawn)))
