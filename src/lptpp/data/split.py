"""Draws a split from the training images, stratified by class."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from lptpp.data.dataset import ImageDataset, Split
from lptpp.utils.errors import UserError
from lptpp.utils.random import generator

SPLIT_NAMES = {  # accepted names, in any letter case
    "train": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
}


def stratified_split(labels: np.ndarray, share: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw a share of every class; return (kept, drawn) indices, each sorted, int64.

    Of a class with n images, min(n - 1, round(n · share)) are drawn: never the last one. `labels` is (N,) int64.

    Raises:
        UserError: the share is not in [0, 1).
    """
    if not 0 <= share < 1:
        raise UserError(f"data.test and data.validation must be at least 0 and below 1, found {share}.")
    parts = [_draw(np.flatnonzero(labels == c), share, seed, int(c)) for c in np.unique(labels)]
    drawn = np.sort(np.concatenate([np.empty(0, np.int64), *parts]))
    return np.setdiff1d(np.arange(len(labels)), drawn), drawn


def draw_split(dataset: ImageDataset, name: str, share: float, seed: int) -> ImageDataset:
    """Return the data set with the split `name`, "test" or "validation", drawn from the training split.

    The split is None if no image is drawn (see `stratified_split`).
    """
    kept, drawn = stratified_split(dataset.train.labels, share, seed)
    train, split = dataset.train.subset(kept), dataset.train.subset(drawn)
    splits: dict[str, Any] = {"train": train, name: split if len(split) else None}
    return replace(dataset, **splits)


def with_test_split(names: list[str], splits: Mapping[str, Split], share: float, seed: int) -> ImageDataset:
    """Return the data set of these splits; without a test split, `share` of every class is drawn for it."""
    dataset = ImageDataset(names, splits["train"], splits.get("validation"), splits.get("test"))
    return dataset if "test" in splits else draw_split(dataset, "test", share, seed)


def _draw(members: np.ndarray, share: float, seed: int, label: int) -> np.ndarray:
    size = min(len(members) - 1, round(len(members) * share))
    return generator(seed, "split", label).choice(members, size, replace=False)
