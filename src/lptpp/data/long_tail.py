"""Subsamples the training split to a long-tailed class distribution.

With imbalance factor f, C classes and n images in the largest one, class c (from 0) keeps

    exponential:  floor(n / f^(c / (C - 1)))
    step:         n in the first half of the classes, floor(n / f) in the second

(Cao et al., "Learning Imbalanced Datasets with Label-Distribution-Aware Margin Loss", arXiv 1906.07413).
"""

from dataclasses import replace

import numpy as np

from lptpp.data.dataset import ImageDataset, Split
from lptpp.data.split import members_by_class
from lptpp.utils.errors import UserError, did_you_mean
from lptpp.utils.random import generator

PROFILES = ("exponential", "step")


def draw_long_tail(dataset: ImageDataset, factor: float, profile: str, seed: int) -> ImageDataset:
    """Return the data set with its training split subsampled to `sorted_long_tail_sizes`.

    Raises:
        UserError: a factor below 1, an unknown profile.
    """
    sizes = sorted_long_tail_sizes(dataset.counts(), factor, profile)
    return replace(dataset, train=draw_sizes(dataset.train, sizes, seed))


def sorted_long_tail_sizes(counts: np.ndarray, factor: float, profile: str) -> np.ndarray:
    """Return the number of images each class keeps, (C,) int64, with classes ranked by size, the largest first.

    Ties keep the class order. A class keeps at least 1 and at most all of its images; classes without images are
    not ranked. `counts` is (C,).
    """
    order = np.argsort(-counts, kind="stable")[: np.count_nonzero(counts)]  # (classes with an image,)
    sizes = np.zeros_like(counts)
    sizes[order] = np.maximum(long_tail_sizes(counts[order], factor, profile), 1)
    return sizes


def long_tail_sizes(counts: np.ndarray, factor: float, profile: str) -> np.ndarray:
    """Return the number of images each class keeps, (C,) int64, in the given class order; at most `counts` (C,)."""
    if factor < 1:
        raise UserError(f"data.factor (largest over smallest class) must be at least 1, found {factor}.")
    if profile not in PROFILES:
        raise UserError(f"Unknown data.profile {profile!r}: {did_you_mean(profile, PROFILES)}")
    classes = len(counts)
    steps = np.arange(classes) >= classes // 2
    exponents = np.arange(classes) / max(classes - 1, 1) if profile == "exponential" else steps
    return np.minimum(np.floor(counts.max() / factor**exponents).astype(np.int64), counts)


def draw_sizes(split: Split, sizes: np.ndarray, seed: int) -> Split:
    """Return `sizes[c]` random images of every class c, without replacement, in their original order; sizes: (C,)."""
    if (sizes == split.counts(len(sizes))).all():
        return split
    drawn = [
        generator(seed, "long tail", label).choice(members, sizes[label], replace=False)
        for label, members in members_by_class(split.labels)
    ]
    return split.subset(np.sort(np.concatenate(drawn)))
