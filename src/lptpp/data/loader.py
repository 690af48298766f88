"""Batches of transformed pictures, the same whatever the number of workers."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from lptpp.data.cache import Pictures
from lptpp.data.transforms import BatchTransform
from lptpp.utils.random import key, keys

Draw = tuple[int, int]  # index of an image, key of its randomness (see lptpp.utils.random)


class Draws(Sequence[Draw]):
    """The (image, random key) of every draw of an epoch, each key made when it is asked for.

    The key belongs to the draw, not to the image: an image that is drawn ten times is augmented in ten ways.
    images: (draws,) int; seed and parts: what the keys depend on, besides the place of the draw.
    """

    def __init__(self, images: np.ndarray, seed: int, *parts: int | str) -> None:
        self.images = images
        self.base = key(seed, *parts, "draw")

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, at: Any) -> Any:
        """Return the draw at a place, or the list of those in a slice."""
        if isinstance(at, slice):
            return self.at(np.arange(*at.indices(len(self))))
        return self.at(np.array([range(len(self))[at]]))[0]

    def at(self, places: np.ndarray) -> list[Draw]:
        """Return the draws at places (n,)."""
        return list(zip(self.images[places].tolist(), keys(self.base, places).tolist(), strict=True))


def woven(orders: Sequence[np.ndarray], size: int) -> np.ndarray:
    """Return S orders of equal length N as one, (S·N,): `size` of each in turn, and at the end what is left of each."""
    length, streams = len(orders[0]), len(orders)
    whole, turns = length // size * size, np.empty(streams * length, dtype=orders[0].dtype)
    body = turns[: streams * whole].reshape(-1, streams, size)
    rest = turns[streams * whole :].reshape(streams, -1)
    for place, order in enumerate(orders):
        body[:, place] = order[:whole].reshape(-1, size)
        rest[place] = order[whole:]
    return turns


ViewBatch = tuple[dict[str, torch.Tensor], torch.Tensor, torch.Tensor]


class Views:
    """Pictures seen through named transforms, one for each backbone of a mixture."""

    def __init__(self, pictures: Pictures, labels: np.ndarray, transforms: dict[str, BatchTransform]) -> None:
        self.pictures = pictures
        self.labels = labels  # (N,) int64
        self.transforms = transforms

    def __len__(self) -> int:
        return len(self.pictures)

    def fill(self) -> None:
        """Decode what fits in memory, before workers share it."""
        self.pictures.fill()

    def of(self, draws: Sequence[Draw]) -> ViewBatch:
        """Return the views of B images by name, float32 (B, 3, H, W) each, labels (B,) and indices (B,), int64.

        Every transform gets the same keys, so that experts see the same crop, each at its own size.
        """
        indices, keys = zip(*draws, strict=True)
        pictures = [self.pictures.load(index) for index in indices]
        views = {name: transform(pictures, keys) for name, transform in self.transforms.items()}
        return views, torch.from_numpy(self.labels[list(indices)]), torch.tensor(indices)


def batches(views: Views, draws: Sequence[Draw], batch_size: int, workers: int, first: int = 0) -> DataLoader:
    """Return an iterable of (views by name, each (B, 3, H, W); labels (B,) int64; indices (B,) int64).

    The batches follow `draws` in order, from number `first` on; the last may be smaller. With workers the pictures that
    fit in memory are decoded first, so that all workers share them.
    """
    if workers:
        views.fill()
    return DataLoader(
        Batches(views, draws, batch_size, first),
        batch_size=None,  # an item is a batch already
        num_workers=workers,
        generator=torch.Generator(),  # its own, so that making a loader draws nothing from the global one
    )


class Batches(Dataset):
    """The batches that views of `draws` make, from number `first` on, each made when it is asked for."""

    def __init__(self, views: Views, draws: Sequence[Draw], size: int, first: int) -> None:
        self.views, self.draws, self.size = views, draws, size
        self.starts = range(0, len(draws), size)[first:]

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, number: int) -> ViewBatch:
        start = self.starts[number]
        return self.views.of(self.draws[start : start + self.size])
