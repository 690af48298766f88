"""Accuracies on a balanced part of a split: equally many images of every class that has enough of them.

A test split drawn from long-tailed data is long-tailed itself, so its overall accuracy mostly reflects the large
classes. In the balanced part every class counts the same, and overall accuracy is the mean over the classes.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lptpp.data.split import members_by_class
from lptpp.data.statistics import SHOTS
from lptpp.evaluation.metrics import shot_accuracy, tested_by_shot
from lptpp.evaluation.rankings import Evaluation
from lptpp.utils.random import generator

MEASURED = ("overall", *SHOTS)


def balanced_part(labels: np.ndarray, images_per_class: int, seed: int) -> np.ndarray:
    """Draw `images_per_class` images without replacement from every class that has as many; return sorted indices.

    labels: (n,) int64. The draw of a class depends only on the seed and the class.
    """
    drawn = [
        generator(seed, "balanced", label).choice(members, images_per_class, replace=False)
        for label, members in members_by_class(labels)
        if len(members) >= images_per_class
    ]
    return np.sort(np.concatenate([np.empty(0, np.int64), *drawn]))


def balanced_metrics(
    evaluation: Evaluation, counts: np.ndarray, shot_thresholds: Sequence[int], images_per_class: int, seed: int
) -> dict[str, Any]:
    """Return images_per_class, the number of classes that have them, and the accuracies of every row in percent.

    counts: (C,) training images. `rows` is empty if no class has enough images; `tested` is of `tested_by_shot`.
    """
    places = balanced_part(evaluation.labels, images_per_class, seed)
    labels, rows = evaluation.labels[places], {}
    for row, ranking in evaluation.rankings.items() if len(places) else ():
        best, confidence = ranking.classes[places, 0], ranking.probabilities[places, 0]
        found = shot_accuracy(best, confidence, labels, counts, shot_thresholds)
        rows[str(row)] = {key: found[key] for key in MEASURED}
    classes, tested = len(places) // images_per_class, tested_by_shot(labels, counts, shot_thresholds)
    return {"images_per_class": images_per_class, "classes": classes, "tested": tested, "rows": rows}


def describe_balanced(balanced: Mapping[str, Any], place: str) -> str:
    """Return a line on the balanced part of, for example, "the test split": its size, or that no class has enough."""
    number, classes = balanced["images_per_class"], balanced["classes"]
    images = f"{number:,} {'image' if number == 1 else 'images'}"
    if not classes:
        return f"No class has {images} in {place}: set evaluation.balanced to less than {number}."
    return f"balanced part of {place}: {images} from each of {classes:,} {'class' if classes == 1 else 'classes'}"
