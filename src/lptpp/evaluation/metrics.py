"""Metrics on a long-tailed data set: accuracy by shot group, calibration error, confusions.

Accuracies and calibration errors are in percent. Shapes: n test images, C classes.
"""

from collections.abc import Sequence

import numpy as np

from lptpp.data.statistics import SHOT_THRESHOLDS, SHOTS, shots


def shot_accuracy(
    predicted: np.ndarray,
    confidence: np.ndarray,
    labels: np.ndarray,
    counts: np.ndarray,
    shot_thresholds: Sequence[int] = SHOT_THRESHOLDS,
) -> dict[str, float | None]:
    """Return the accuracy on all test images and on those of many-, medium- and few-shot classes, in percent.

    Also returns `mean_class`, the mean accuracy of the classes with test images, and `calibration_error`. A value is
    None if it has no test image.

    predicted, confidence: (n,) most probable class and its probability; labels: (n,) true classes; counts: (C,)
    training images, which decide the shot of a class (`lptpp.data.statistics.shots`).
    """
    correct = predicted == labels
    shot = shots(counts, shot_thresholds)[labels]  # (n,)
    accuracy, tested = class_accuracy(predicted, labels, len(counts))
    return {
        "overall": percent(correct),
        **{name: percent(correct[shot == name]) for name in SHOTS},
        "mean_class": float(accuracy[tested > 0].mean()) if len(labels) else None,
        "calibration_error": calibration_error(confidence, correct) if len(labels) else None,
    }


def tested_by_shot(
    labels: np.ndarray, counts: np.ndarray, shot_thresholds: Sequence[int] = SHOT_THRESHOLDS
) -> dict[str, dict[str, int]]:
    """Return the test images, and the classes that have some, behind the accuracy of each shot group.

    labels: (n,) true classes; counts: (C,) training images.
    """
    shot, tested = shots(counts, shot_thresholds), np.bincount(labels, minlength=len(counts))
    return {
        name: {"images": int(tested[shot == name].sum()), "classes": int((tested[shot == name] > 0).sum())}
        for name in SHOTS
    }


def percent(values: np.ndarray) -> float | None:
    """Return the percentage of true values, or the mean of probabilities in percent; None if there are no values."""
    return 100 * float(values.mean()) if len(values) else None


def class_accuracy(predicted: np.ndarray, labels: np.ndarray, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return each class's accuracy in percent (nan without test images) and its test images, (C,) each."""
    tested = np.bincount(labels, minlength=classes)
    correct = np.bincount(labels[predicted == labels], minlength=classes)
    return np.where(tested > 0, 100 * correct / np.maximum(tested, 1), np.nan), tested


def calibration_error(confidence: np.ndarray, correct: np.ndarray, bins: int = 15) -> float:
    """Return the expected calibration error in percent over equal-width bins (low, high] of top-1 confidence.

    Σ_b |B_b|/n · |accuracy(B_b) − confidence(B_b)| (Guo et al. 2017, arXiv 1706.04599, equation 3), for
    confidences (n,) and whether each is correct (n,), n > 0.
    """
    _, right, total = calibration_bins(confidence, correct, bins)
    return 100 * float(np.abs(right - total).sum()) / len(confidence)


def calibration_bins(
    confidence: np.ndarray, correct: np.ndarray, bins: int = 15
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the images of each bin, its correct images, and the sum of its confidences, (bins,) each."""
    confidence = confidence.astype(np.float64)
    edges = np.linspace(0, 1, bins + 1)[1:-1]
    place = np.digitize(confidence, edges, right=True)  # (n,)
    images, right, total = (np.bincount(place, weights, bins) for weights in (None, correct, confidence))
    return images, right, total


def confusion(predicted: np.ndarray, labels: np.ndarray) -> list[tuple[int, int, int]]:
    """Return (true class, predicted class, images) of every pair that occurs, most frequent first."""
    pairs, images = np.unique(np.stack([labels, predicted], axis=1), axis=0, return_counts=True)
    order = np.argsort(-images, kind="stable")
    return [(int(pairs[i, 0]), int(pairs[i, 1]), int(images[i])) for i in order]
