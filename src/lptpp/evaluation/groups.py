"""The use of the group prompts by the evaluated images, and their gain over the control rows.

Shapes: n images, m groups, k groups an image uses.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lptpp.config import ExpertSettings
from lptpp.data.statistics import shots
from lptpp.evaluation.intervals import paired_interval
from lptpp.evaluation.rankings import Evaluation
from lptpp.evaluation.table import CONTROLS, ResultRow


def group_metrics(
    evaluation: Evaluation, experts: Mapping[str, ExpertSettings], counts: np.ndarray, shot_thresholds: Sequence[int]
) -> dict[str, dict[str, Any]]:
    """Return the use of the groups and the gains over the control rows, by expert with group prompts.

    counts: (C,) training images.
    """
    few = shots(counts, shot_thresholds)[evaluation.labels] == "few"  # (n,)
    return {
        name: group_use(groups, experts[name].num_groups) | {"gain_over": gains(evaluation, name, few)}
        for name, groups in evaluation.groups.items()
    }


def group_use(groups: np.ndarray, num_groups: int) -> dict[str, Any]:
    """Return how many of m groups, and how many sets of k, the images use, and how evenly; groups: (n, k)."""
    _, images = np.unique(groups, return_counts=True)
    sets = group_sets(groups)[1]
    return {
        "num_groups": num_groups,
        "top_k": groups.shape[1],
        "used_groups": len(images),
        "used_sets": len(sets),
        "effective_groups": effective_number(images),
        "effective_sets": effective_number(sets),
    }


def group_sets(groups: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the distinct sets (s, k) of groups (n, k), each in ascending order, and the images (s,) that use each.

    The most used set is first.
    """
    sets, images = np.unique(np.sort(groups, axis=1), axis=0, return_counts=True)
    order = np.argsort(-images, kind="stable")
    return sets[order], images[order]


def effective_number(images: np.ndarray) -> float:
    """Return the exponential of the entropy of counts: how many equally used things are as diverse."""
    shares = images[images > 0] / images.sum()
    return float(np.exp(-(shares * np.log(shares)).sum()))


def gains(evaluation: Evaluation, expert: str, few: np.ndarray) -> dict[str, dict[str, Any]]:
    """Return what an expert's phase-2 row gains over each of its control rows, overall and on few-shot classes.

    few: (n,) images of few-shot classes. A gain is {"points": …, "interval": [low, high]} (95%), None without images.
    """
    right = {row: found.classes[:, 0] == evaluation.labels for row, found in evaluation.rankings.items()}
    own = right[ResultRow("phase2", expert)]
    controls = {kind: right[row] for kind in CONTROLS if (row := ResultRow(kind, expert)) in right}
    return {
        kind.removeprefix("phase2_"): {"overall": _gain(own, other), "few": _gain(own[few], other[few])}
        for kind, other in controls.items()
    }


def _gain(own: np.ndarray, other: np.ndarray) -> dict[str, Any] | None:
    if not len(own):
        return None
    points = 100 * (int(own.sum()) - int(other.sum())) / len(own)
    return {"points": points, "interval": list(paired_interval(own, other))}
