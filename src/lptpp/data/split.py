"""Drawing a part of a data set, class by class."""

from dataclasses import replace
from typing import Any

import numpy as np

from lptpp.data.dataset import Collection
from lptpp.utils.errors import UserError
from lptpp.utils.random import generator

PARTS = {  # what people call the parts, in any letter case
    "train": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
}


def stratified_part(labels: np.ndarray, share: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw a share of every class and return (kept, drawn) indices, each sorted, int64.

    A class of n images gives min(n - 1, round(n · share)): never its last one. `labels` is (N,) int64.

    Raises:
        UserError: the share is not in [0, 1).
    """
    if not 0 <= share < 1:
        raise UserError(
            f"The share to draw must be at least 0 and below 1, not {share}: see data.test, data.validation."
        )
    parts = [_draw(np.flatnonzero(labels == c), share, seed, int(c)) for c in np.unique(labels)]
    drawn = np.sort(np.concatenate([np.empty(0, np.int64), *parts]))
    return np.setdiff1d(np.arange(len(labels)), drawn), drawn


def draw_part(collection: Collection, part: str, share: float, seed: int) -> Collection:
    """Return the collection with `part`, "test" or "validation", drawn from the training part.

    `stratified_part` draws it; where it draws nothing the part is None.
    """
    kept, drawn = stratified_part(collection.train.labels, share, seed)
    train, rest = collection.train.subset(kept), collection.train.subset(drawn)
    parts: dict[str, Any] = {"train": train, part: rest if len(rest) else None}
    return replace(collection, **parts)


def _draw(members: np.ndarray, share: float, seed: int, label: int) -> np.ndarray:
    size = min(len(members) - 1, round(len(members) * share))
    return generator(seed, "split", label).choice(members, size, replace=False)
