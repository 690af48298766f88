"""How far the result differs from every other row, on the same images."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lptpp.data.statistics import shots
from lptpp.evaluation.intervals import paired_interval
from lptpp.evaluation.rankings import Evaluation

Intervals = dict[str, list[float]]  # [low, high] in points, by overall and few


def intervals_by_row(
    evaluation: Evaluation, counts: np.ndarray, shot_thresholds: Sequence[int]
) -> dict[str, Intervals]:
    """Return the 95% intervals of the result's accuracy minus that of each other row, overall and on few-shot classes.

    counts: (C,) training images. Without images of few-shot classes, there is no interval for them.
    """
    few = shots(counts, shot_thresholds)[evaluation.labels] == "few"  # (n,)
    right = {row: found.classes[:, 0] == evaluation.labels for row, found in evaluation.rankings.items()}
    own = right.pop(evaluation.result)
    parts = {"overall": np.ones_like(few), "few": few}
    return {
        str(row): {key: list(paired_interval(own[of], other[of])) for key, of in parts.items() if of.any()}
        for row, other in right.items()
    }


def is_undecided(metrics: Mapping[str, Any], row: str, measure: str) -> bool:
    """Return whether the interval of the difference to a row contains 0; False if metrics.json does not have it.

    The mean over the classes is judged by the overall accuracy.
    """
    found = (metrics.get("differences") or {}).get(row, {}).get("few" if measure == "few" else "overall")
    return found is not None and found[0] <= 0 <= found[1]
