"""Batches of transformed pictures, the same whatever the number of workers."""

from collections.abc import Sequence

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from lptpp.data.draws import Draw
from lptpp.data.pictures import Pictures
from lptpp.data.transforms import BatchTransform

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
