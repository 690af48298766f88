"""How long the tail is: counts, imbalance, and the many / medium / few classes."""

from typing import Any

import numpy as np

from lptpp.data.dataset import Collection, Split

BORDERS = (20, 100)  # the field's: few < 20 <= medium <= 100 < many


def shots(counts: np.ndarray, shot_thresholds: tuple[int, int] = BORDERS) -> np.ndarray:
    """Return "many", "medium" or "few" for every class by its training images, (C,) str.

    few: n < borders[0] (none at all included); medium: borders[0] <= n <= borders[1]; many: n > borders[1].
    """
    low, high = shot_thresholds
    return np.where(counts > high, "many", np.where(counts >= low, "medium", "few"))


def suggested_thresholds(counts: np.ndarray) -> tuple[int, int] | None:
    """Return borders by which classes are many-, medium- and few-shot, about a third of them each.

    None where class counts (C,), those of 0 aside, take fewer than three values.
    """
    levels = np.unique(counts[counts > 0])
    if len(levels) < 3:
        return None
    thirds = np.quantile(counts[counts > 0], (1 / 3, 2 / 3), method="nearest")
    low, high = thirds.clip(levels[1], levels[-2]).tolist()
    return int(low), int(high)


def describe_shots(shot_thresholds: tuple[int, int] = BORDERS) -> str:
    """Return the rule of `shots` in words, to be printed with every table."""
    low, high = shot_thresholds
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


def summary(collection: Collection, shot_thresholds: tuple[int, int] = BORDERS) -> dict[str, Any]:
    """Return what to know of a data set before training; counts are of training images.

    Keys: classes, images (by part), largest and smallest (name, count), imbalance_factor, gini, borders (in
    words), shots (number of classes of each kind), without_training_images and, where there is a test part,
    without_test_images (names), counts (by class name).
    """
    counts, names = collection.counts(), collection.class_names
    kinds = shots(counts, shot_thresholds)
    tested = {} if collection.test is None else {"without_test_images": without_images(collection.test, names)}
    return {
        "classes": len(names),
        "images": {part: len(split) for part, split in collection.parts().items()},
        "largest": (names[counts.argmax()], int(counts.max())),
        "smallest": (names[counts.argmin()], int(counts.min())),
        "imbalance_factor": imbalance_factor(counts),
        "gini": gini(counts),
        "shot_thresholds": describe_shots(shot_thresholds),
        "shots": {kind: int((kinds == kind).sum()) for kind in ("many", "medium", "few")},
        "without_training_images": without_images(collection.train, names),
        **tested,
        "counts": {name: int(count) for name, count in zip(names, counts, strict=True)},
    }


def without_images(split: Split, names: list[str]) -> list[str]:
    """Return the names of the classes that have no image in a part."""
    return [name for name, count in zip(names, split.counts(len(names)), strict=True) if count == 0]
