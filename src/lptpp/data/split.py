"""Draws a split from the training images, stratified by class."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from lptpp.data.dataset import ImageDataset, Split
from lptpp.utils.errors import UserError
from lptpp.utils.random import generator

WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")  # also the words of camelCase
SPLIT_WORDS = {
    "train": ("train", "training"),
    "validation": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing", "eval", "evaluation"),
}
SPLIT_NAMES = {word: split for split, words in SPLIT_WORDS.items() for word in words}  # in any letter case, or plural


def split_of(name: str) -> str | None:
    """Return train, validation or test for a name such as Training, val or tests; None for any other name."""
    word = name.strip().lower()
    return SPLIT_NAMES.get(word) or SPLIT_NAMES.get(word.removesuffix("s"))


def split_in(name: str) -> tuple[str, str] | None:
    """Return the split that one word of a longer name means, and the rest of the name; None without such a word.

    The rest is in lower case, with * for the word and # for numbers: seg_train is ("train", "seg_*"), and
    ILSVRC2012_img_val is ("validation", "ilsvrc#_img_*"). Names with words of several splits have none.
    """
    words = [(match, split_of(match[0])) for match in WORD.finditer(name)]
    found = [(match, split) for match, split in words if split is not None]
    if len(found) != 1:
        return None
    match, split = found[0]
    return split, re.sub(r"\d+", "#", f"{name[: match.start()]}*{name[match.end() :]}".lower())


def stratified_split(labels: np.ndarray, share: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw a share of every class; return (kept, drawn) indices, each sorted, int64.

    Of a class with n images, min(n - 1, round(n · share)) are drawn: never the last one. `labels` is (N,) int64.

    Raises:
        UserError: the share is not in [0, 1).
    """
    if not 0 <= share < 1:
        raise UserError(f"data.test and data.validation must be at least 0 and below 1, found {share}.")
    is_drawn = np.zeros(len(labels), bool)
    for label, members in members_by_class(labels):
        is_drawn[_draw(members, share, seed, label)] = True
    return np.flatnonzero(~is_drawn), np.flatnonzero(is_drawn)


def members_by_class(labels: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Yield each label of `labels` (N,), ascending, with the ascending indices of its images. Sorts once."""
    order = np.argsort(labels, kind="stable")
    ends = np.cumsum(np.bincount(labels))
    for label, members in enumerate(np.split(order, ends[:-1])):
        if len(members):
            yield label, members


def at_most(labels: np.ndarray, number: int, seed: int) -> np.ndarray:
    """Return the indices of up to `number` images of every class, drawn at random, ascending, int64."""
    drawn = [
        generator(seed, "class means", label).choice(members, min(number, len(members)), replace=False)
        for label, members in members_by_class(labels)
    ]
    return np.sort(np.concatenate(drawn))


def draw_split(dataset: ImageDataset, name: str, share: float, seed: int) -> ImageDataset:
    """Return the data set with the split `name`, "test" or "validation", drawn from the training split.

    The split is None if no image is drawn (see `stratified_split`).
    """
    splits: dict[str, Any] = {name: None}
    if share:
        kept, drawn = stratified_split(dataset.train.labels, share, seed)
        train, split = dataset.train.subset(kept), dataset.train.subset(drawn)
        splits = {"train": train, name: split if len(split) else None}
    return replace(dataset, **splits)


def with_test_split(names: list[str], splits: Mapping[str, Split], share: float, seed: int) -> ImageDataset:
    """Return the data set of these splits; without a test split, `share` of every class is drawn for it."""
    dataset = ImageDataset(names, splits["train"], splits.get("validation"), splits.get("test"))
    return dataset if "test" in splits else draw_split(dataset, "test", share, seed)


def _draw(members: np.ndarray, share: float, seed: int, label: int) -> np.ndarray:
    size = min(len(members) - 1, round(len(members) * share))
    return generator(seed, "split", label).choice(members, size, replace=False)
