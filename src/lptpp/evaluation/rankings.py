"""The predictions of every row of the shot table on some images, as files and tables read them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lptpp.evaluation.metrics import shot_accuracy
from lptpp.evaluation.table import ResultRow


@dataclass
class Ranking:
    """The most probable classes of n images, best first, and their probabilities."""

    classes: np.ndarray  # (n, k)
    probabilities: np.ndarray  # (n, k)


@dataclass
class Evaluation:
    """The predictions of every row on n images; `result` is the row that is the run's result."""

    labels: np.ndarray  # (n,)
    rankings: dict[ResultRow, Ranking]
    result: ResultRow
    weights: np.ndarray | None = None  # (n, E) scorer weight of every expert
    truth: np.ndarray | None = None  # (n,) probability of the true class in the result row
    groups: dict[str, np.ndarray] = field(default_factory=dict)  # (n, k) selected prompt groups, by expert

    def metrics(self, counts: np.ndarray, shot_thresholds: Sequence[int]) -> dict[str, dict[str, Any]]:
        """Return `shot_accuracy` of every row by its key, in percent."""
        return {
            str(row): shot_accuracy(
                ranking.classes[:, 0], ranking.probabilities[:, 0], self.labels, counts, shot_thresholds
            )
            for row, ranking in self.rankings.items()
        }
