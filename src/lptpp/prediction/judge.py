"""From pictures to rows: the best classes, an answer where the model is sure enough, or why there is none."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from lptpp.evaluation.adjustment import Adjustment
from lptpp.evaluation.rows import ranked
from lptpp.model import Model, Seen
from lptpp.prediction.inputs import Input

Row = dict[str, Any]


class Judge:
    """A model, what is done to its probabilities, and how much of them a row tells.

    The answer of a row is its best class, or nothing where that has less than `threshold` of the probability.
    """

    def __init__(self, model: Model, adjust: Adjustment, top_k: int, threshold: float) -> None:
        self.model = model
        self.adjust = adjust
        self.top_k = min(top_k, len(model.class_names))
        self.threshold = threshold
        self.widths = {name: expert.backbone.feature_width for name, expert in model.mixture.experts.items()}

    def columns(self) -> list[str]:
        """Return the names of a row's columns."""
        places = range(1, self.top_k + 1)
        return ["image", "answer", *(f"{kind}_{k}" for k in places for kind in ("label", "probability")), "error"]

    def judge(self, inputs: Sequence[Input], seen: Sequence[Seen | str]) -> tuple[list[Row], np.ndarray]:
        """Return a row and the unit features (n, ΣF) of each of n inputs; of unreadable ones, told as text, nan."""
        rows = [dict.fromkeys(self.columns()) | {"image": printable(one.name)} for one in inputs]
        features = np.full((len(inputs), sum(self.widths.values())), np.nan, np.float32)
        good = [place for place, views in enumerate(seen) if not isinstance(views, str)]
        for place in set(range(len(inputs))) - set(good):
            rows[place]["error"] = seen[place]
        if good:
            found, features[good] = self._found([seen[place] for place in good])
            for place, row in zip(good, found, strict=True):
                rows[place] |= row
        return rows, features

    def _found(self, seen: list[Any]) -> tuple[list[Row], np.ndarray]:
        answer = self.model.answer(seen)
        best = self.adjust(answer.of_views).topk(self.top_k, dim=-1)
        rows = [
            ranked(*pair, self.model.class_names)
            for pair in zip(best.indices.tolist(), best.values.tolist(), strict=True)
        ]
        for row in rows:
            row["answer"] = row["label_1"] if row["probability_1"] >= self.threshold else None
        return rows, torch.cat([*answer.features.values()], dim=1).numpy()


def printable(name: str) -> str:
    """Return a name as text that any file can hold: bytes that are no UTF-8 become question marks."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
