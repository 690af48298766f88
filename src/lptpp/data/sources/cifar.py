"""CIFAR-10-LT and CIFAR-100-LT: a long tail drawn from the balanced training split, and the whole test split.

As in the published benchmarks, the profile of `lptpp.data.long_tail` follows the class order of the data set
(alphabetical).
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
from torchvision.datasets import CIFAR10, CIFAR100

from lptpp.data.dataset import ImageDataset, Split
from lptpp.data.long_tail import draw_sizes, long_tail_sizes
from lptpp.data.sources.folder import folder
from lptpp.utils.errors import UserError

FACTOR = 100.0  # default imbalance factor


def cifar10_lt(root: str, factor: float | None, profile: str, split_seed: int) -> ImageDataset:
    """Return CIFAR-10-LT with imbalance factor `factor` (default 100); see `long_tailed`."""
    return long_tailed(CIFAR10, root, factor, profile, split_seed)


def cifar100_lt(root: str, factor: float | None, profile: str, split_seed: int) -> ImageDataset:
    """Return CIFAR-100-LT with imbalance factor `factor` (default 100); see `long_tailed`."""
    return long_tailed(CIFAR100, root, factor, profile, split_seed)


def long_tailed(benchmark: type, root: str, factor: float | None, profile: str, split_seed: int) -> ImageDataset:
    """Return the images in train/<class> and test/<class> of `root`, or torchvision's download, with a long tail.

    `split_seed` selects the training images. A class with fewer images than its share of the profile keeps all.

    Raises:
        UserError: a factor below 1, an unknown profile, or the data are neither in `root` nor can be downloaded.
    """
    path = Path(root).expanduser()
    as_folders = (path / "train").is_dir()
    whole = folder(root, test=0.0, split_seed=split_seed) if as_folders else _downloaded(benchmark, path)
    sizes = long_tail_sizes(whole.counts(), FACTOR if factor is None else factor, profile)
    names = [name.replace("_", " ") for name in whole.class_names]
    return replace(whole, class_names=names, train=draw_sizes(whole.train, sizes, split_seed))


def _downloaded(benchmark: type, root: Path) -> ImageDataset:
    try:
        train, test = (benchmark(root, train=training, download=True) for training in (True, False))
    except (OSError, RuntimeError) as error:
        raise UserError(
            f"{benchmark.__name__} is not in {root} and could not be downloaded ({error}): put the files there, or set "
            "data.root to a folder that contains train/<class>/*.png and test/<class>/*.png."
        ) from error
    splits = [Split(list(found.data), np.array(found.targets)) for found in (train, test)]
    return ImageDataset(list(train.classes), splits[0], None, splits[1])
