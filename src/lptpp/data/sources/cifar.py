"""CIFAR-10-LT and CIFAR-100-LT: a long tail cut out of the balanced training part, the whole test part.

With imbalance factor f, C classes and n images in the largest, class c keeps

    exponential:  floor(n / f^(c / (C - 1)))
    step:         n in the first half of the classes, floor(n / f) in the others

in the data set's own class order (alphabetical), as the published settings have it.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
from torchvision.datasets import CIFAR10, CIFAR100

from lptpp.data.dataset import Collection, Split
from lptpp.data.sources.folder import folder
from lptpp.utils.errors import UserError, did_you_mean
from lptpp.utils.random import generator

PROFILES = ("exponential", "step")


def cifar10_lt(root: str, factor: float, profile: str, split_seed: int) -> Collection:
    """Return CIFAR-10-LT with imbalance factor `factor`; see `long_tailed` for where it comes from."""
    return long_tailed(CIFAR10, root, factor, profile, split_seed)


def cifar100_lt(root: str, factor: float, profile: str, split_seed: int) -> Collection:
    """Return CIFAR-100-LT with imbalance factor `factor`; see `long_tailed` for where it comes from."""
    return long_tailed(CIFAR100, root, factor, profile, split_seed)


def long_tailed(dataset: type, root: str, factor: float, profile: str, split_seed: int) -> Collection:
    """Return train/<class> and test/<class> below `root`, else torchvision's download, cut to a long tail.

    `split_seed` chooses the images that stay. A class with fewer images than its place asks for keeps them
    all.

    Raises:
        UserError: a factor below 1, an unknown profile, no data and no network.
    """
    in_folders = (Path(root).expanduser() / "train").is_dir()
    whole = (
        folder(root, test=0.0, split_seed=split_seed) if in_folders else _downloaded(dataset, Path(root).expanduser())
    )
    kept = _kept(whole.train.labels, long_tail(whole.counts(), factor, profile), split_seed)
    names = [name.replace("_", " ") for name in whole.class_names]
    return replace(whole, class_names=names, train=whole.train.subset(kept))


def long_tail(counts: np.ndarray, factor: float, profile: str) -> np.ndarray:
    """Return how many images each class keeps, (C,) int64: the formulas above, at most `counts` (C,)."""
    if factor < 1:
        raise UserError(f"data.factor is the largest class over the smallest, so at least 1, not {factor}.")
    if profile not in PROFILES:
        raise UserError(f"Unknown data.profile {profile!r}: {did_you_mean(profile, PROFILES)}")
    classes = len(counts)
    steps = np.arange(classes) >= classes // 2
    exponents = np.arange(classes) / (classes - 1) if profile == "exponential" else steps
    return np.minimum(np.floor(counts.max() / factor**exponents).astype(np.int64), counts)


def _kept(labels: np.ndarray, sizes: np.ndarray, seed: int) -> np.ndarray:
    drawn = [
        generator(seed, "long tail", label).choice(np.flatnonzero(labels == label), size, replace=False)
        for label, size in enumerate(sizes)
    ]
    return np.sort(np.concatenate(drawn))


def _downloaded(dataset: type, root: Path) -> Collection:
    try:
        train, test = (dataset(root, train=part, download=True) for part in (True, False))
    except (OSError, RuntimeError) as error:
        raise UserError(
            f"{dataset.__name__} is not in {root} and could not be downloaded ({error}): put the files "
            "there, or set data.root to a folder that holds train/<class>/*.png and test/<class>/*.png."
        ) from error
    splits = [Split(list(part.data), np.array(part.targets)) for part in (train, test)]
    return Collection(list(train.classes), splits[0], None, splits[1])
