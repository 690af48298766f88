"""Class counts: imbalance, many-/medium-/few-shot groups, and the summary of a data set."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from lptpp.data.dataset import ImageDataset, Split

SHOTS = ("many", "medium", "few")
SHOT_THRESHOLDS = (20, 100)  # customary: few < 20 <= medium <= 100 < many
NEARLY_ALL = 0.9  # of the classes in one shot group leave little to compare


def shots(counts: np.ndarray, shot_thresholds: Sequence[int] = SHOT_THRESHOLDS) -> np.ndarray:
    """Return "many", "medium" or "few" for every class by its training images n, (C,) str.

    few: n < low (also n = 0); medium: low <= n <= high; many: n > high.
    """
    low, high = shot_thresholds
    return np.where(counts > high, "many", np.where(counts >= low, "medium", "few"))


def suggested_thresholds(counts: np.ndarray) -> tuple[int, int] | None:
    """Return shot thresholds that put about a third of the classes into each of many, medium and few.

    None if the nonzero class counts (C,) take fewer than three values.
    """
    levels = np.unique(counts[counts > 0])
    if len(levels) < 3:
        return None
    thirds = np.quantile(counts[counts > 0], (1 / 3, 2 / 3), method="nearest")
    low, high = thirds.clip(levels[1], levels[-2]).tolist()
    return int(low), int(high)


def better_thresholds(counts: np.ndarray, shot_thresholds: Sequence[int]) -> tuple[str, str] | None:
    """Return a sentence on the shot group of (nearly) all classes, and thresholds as a setting that split them better.

    Classes without training images do not count. None if no group has `NEARLY_ALL` of the classes, or if the largest
    group of `suggested_thresholds` has no fewer.
    """
    present, suggested = counts[counts > 0], suggested_thresholds(counts)
    if suggested is None:
        return None
    shot, classes = _largest_group(present, shot_thresholds)
    if classes < NEARLY_ALL * len(present) or _largest_group(present, suggested)[1] >= classes:
        return None
    number = f"{classes:,} of the {len(present):,} classes with training images"
    sentence = f"{'All classes' if classes == len(present) else number} are {shot}-shot."
    return sentence, f"evaluation.shot_thresholds=[{suggested[0]},{suggested[1]}]"


def _largest_group(counts: np.ndarray, shot_thresholds: Sequence[int]) -> tuple[str, int]:
    """Return the shot group with the most classes, and how many it has."""
    groups, classes = np.unique(shots(counts, shot_thresholds), return_counts=True)
    return str(groups[classes.argmax()]), int(classes.max())


def describe_shots(shot_thresholds: Sequence[int] = SHOT_THRESHOLDS) -> str:
    """Return the rule of `shots` in words, printed with every table."""
    low, high = shot_thresholds
    return f"many: more than {high} training images, medium: {low} to {high}, few: fewer than {low}"


def imbalance_factor(counts: np.ndarray) -> float:
    """Return the largest class count over the smallest nonzero one; counts: (C,) int, not all zero."""
    return float(counts.max() / counts[counts > 0].min())


def gini(counts: np.ndarray) -> float:
    """Return the Gini coefficient of the class counts: 0 = balanced, toward 1 = all images in one class.

    G = 2 Σ_i i·n_i / (C Σ_i n_i) − (C + 1) / C over counts in ascending order, i from 1 to C.
    """
    classes = len(counts)
    ranks = np.arange(1, classes + 1)
    return float(2 * (ranks * np.sort(counts)).sum() / (classes * counts.sum()) - (classes + 1) / classes)


def summary(dataset: ImageDataset, shot_thresholds: Sequence[int] = SHOT_THRESHOLDS) -> dict[str, Any]:
    """Return the summary of a data set; counts are of training images.

    Keys: classes, images (per split), largest and smallest (name, count), imbalance_factor, gini, shot_thresholds (in
    words), shots (number of classes per group), without_training_images and, if there is a test split,
    without_test_images (class names), counts (by class name).
    """
    counts, names = dataset.counts(), dataset.class_names
    groups = shots(counts, shot_thresholds)
    tested = {} if dataset.test is None else {"without_test_images": without_images(dataset.test, names)}
    return {
        "classes": len(names),
        "images": {name: len(split) for name, split in dataset.splits().items()},
        "largest": (names[counts.argmax()], int(counts.max())),
        "smallest": (names[counts.argmin()], int(counts.min())),
        "imbalance_factor": imbalance_factor(counts),
        "gini": gini(counts),
        "shot_thresholds": describe_shots(shot_thresholds),
        "shots": {group: int((groups == group).sum()) for group in ("many", "medium", "few")},
        "without_training_images": without_images(dataset.train, names),
        **tested,
        "counts": {name: int(count) for name, count in zip(names, counts, strict=True)},
    }


def without_images(split: Split, names: list[str]) -> list[str]:
    """Return the names of the classes without an image in a split."""
    return [name for name, count in zip(names, split.counts(len(names)), strict=True) if count == 0]
