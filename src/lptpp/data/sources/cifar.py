"""CIFAR-10-LT and CIFAR-100-LT: a long tail drawn from the balanced training part, the whole test part.

The profile of `lptpp.data.long_tail` is laid over the data set's own class order (alphabetical), as the published
settings have it.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
from torchvision.datasets import CIFAR10, CIFAR100

from lptpp.data.dataset import Collection, Split
from lptpp.data.long_tail import draw_sizes, long_tail
from lptpp.data.sources.folder import folder
from lptpp.utils.errors import UserError

FACTOR = 100.0  # the imbalance factor where none is given


def cifar10_lt(root: str, factor: float | None, profile: str, split_seed: int) -> Collection:
    """Return CIFAR-10-LT with imbalance factor `factor`, 100 by default; see `long_tailed` for where it comes from."""
    return long_tailed(CIFAR10, root, factor, profile, split_seed)


def cifar100_lt(root: str, factor: float | None, profile: str, split_seed: int) -> Collection:
    """Return CIFAR-100-LT with imbalance factor `factor`, 100 by default; see `long_tailed` for where it comes from."""
    return long_tailed(CIFAR100, root, factor, profile, split_seed)


def long_tailed(dataset: type, root: str, factor: float | None, profile: str, split_seed: int) -> Collection:
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
    sizes = long_tail(whole.counts(), FACTOR if factor is None else factor, profile)
    names = [name.replace("_", " ") for name in whole.class_names]
    return replace(whole, class_names=names, train=draw_sizes(whole.train, sizes, split_seed))


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
