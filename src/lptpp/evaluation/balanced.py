"""The rows of the shot table on a balanced test part: equally many pictures of every class that has enough.

A test part drawn from long-tailed data is long-tailed itself, and its overall accuracy is mostly that of the large
classes. Here each class counts the same, so that the overall accuracy is the mean over the classes.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from lptpp.evaluation.evaluate import Evaluation
from lptpp.evaluation.metrics import SHOTS, shot_accuracy
from lptpp.utils.random import generator

KEPT = ("overall", *SHOTS)


def balanced_part(labels: np.ndarray, pictures: int, seed: int) -> np.ndarray:
    """Draw `pictures` images, without replacement, of every class that has as many; return their places, sorted.

    labels: (n,) int64. The draw of a class depends on the seed and on the class alone.
    """
    classes, tested = np.unique(labels, return_counts=True)
    drawn = [
        generator(seed, "balanced", int(c)).choice(np.flatnonzero(labels == c), pictures, replace=False)
        for c in classes[tested >= pictures]
    ]
    return np.sort(np.concatenate([np.empty(0, np.int64), *drawn]))


def balanced_metrics(
    evaluation: Evaluation, counts: np.ndarray, shot_thresholds: tuple[int, int], pictures: int, seed: int
) -> dict[str, Any]:
    """Return pictures (of each class), classes (how many have them), and rows: the accuracies of each, in percent.

    counts: (C,) training images. The predictions are those of the whole part; without a class there are no rows.
    """
    places = balanced_part(evaluation.labels, pictures, seed)
    labels, rows = evaluation.labels[places], {}
    for name, ranking in evaluation.rankings.items() if len(places) else ():
        best, sure = ranking.classes[places, 0], ranking.probabilities[places, 0]
        found = shot_accuracy(best, sure, labels, counts, shot_thresholds)
        rows[name] = {key: found[key] for key in KEPT}
    return {"pictures": pictures, "classes": len(places) // pictures, "rows": rows}


def describe_balanced(balanced: Mapping[str, Any], split: str) -> str:
    """Return in a sentence what a balanced part of `split` holds, or that no class has pictures enough for one."""
    pictures, classes = balanced["pictures"], balanced["classes"]
    each = f"{pictures:,} {'picture' if pictures == 1 else 'pictures'}"
    if not classes:
        return f"No class has {each} in the {split} part: evaluation.balanced={pictures} draws nothing, lower it."
    return f"balanced {split} part: {each} of each of {classes:,} {'class' if classes == 1 else 'classes'}"
