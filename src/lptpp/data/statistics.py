"""How long the tail is: counts, imbalance, and the many / medium / few classes."""

from typing import Any

import numpy as np

from lptpp.data.collection import Collection

BORDERS = (20, 100)  # the field's: few < 20 <= medium <= 100 < many


def shots(counts: np.ndarray, borders: tuple[int, int] = BORDERS) -> np.ndarray:
    """Return "many", "medium" or "few" for every class by its training images, (C,) str.

    few: n < borders[0] (none at all included); medium: borders[0] <= n <= borders[1]; many: n > borders[1].
    """
    low, high = borders
    return np.where(counts > high, "many", np.where(counts >= low, "medium", "few"))


def describe_borders(borders: tuple[int, int] = BORDERS) -> str:
    """Return the rule of `shots` in words, to be printed with every table."""
    low, high = borders
    return f"many: more than {high} training images, medium: {low} to {high}, few: fewer than {low}"


def imbalance_factor(counts: np.ndarray) -> float:
    """Return the largest class count over the smallest that is not zero; counts: (C,) int, not all zero."""
    return float(counts.max() / counts[counts > 0].min())


def gini(counts: np.ndarray) -> float:
    """Return the Gini coefficient of the class counts: 0 = balanced, towards 1 = all images in one class.

    G = 2 Σ_i i·n_i / (C Σ_i n_i) − (C + 1) / C over counts in ascending order, i from 1 to C.
    """
    classes = len(counts)
    ranks = np.arange(1, classes + 1)
    return float(2 * (ranks * np.sort(counts)).sum() / (classes * counts.sum()) - (classes + 1) / classes)


def summary(collection: Collection, borders: tuple[int, int] = BORDERS) -> dict[str, Any]:
    """Return what to know of a data set before training; counts are of training images.

    Keys: classes, images (by part), largest and smallest (name, count), imbalance_factor, gini, borders (in
    words), shots (number of classes of each kind), without_training_images (names), counts (by class name).
    """
    counts, names = collection.counts(), collection.class_names
    kinds = shots(counts, borders)
    return {
        "classes": len(names),
        "images": {part: len(split) for part, split in collection.parts().items()},
        "largest": (names[counts.argmax()], int(counts.max())),
        "smallest": (names[counts.argmin()], int(counts.min())),
        "imbalance_factor": imbalance_factor(counts),
        "gini": gini(counts),
        "borders": describe_borders(borders),
        "shots": {kind: int((kinds == kind).sum()) for kind in ("many", "medium", "few")},
        "without_training_images": [name for name, count in zip(names, counts, strict=True) if count == 0],
        "counts": {name: int(count) for name, count in zip(names, counts, strict=True)},
    }
