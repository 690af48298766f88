"""Batches of transformed pictures, the same whatever the number of workers."""

from collections.abc import Callable

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from lptpp.data.pictures import Pictures

Draw = tuple[int, int]  # index of an image, key of its randomness (see lptpp.randomness.key)


class Views(Dataset):
    """Pictures seen through named transforms, one for each backbone of a mixture."""

    def __init__(
        self,
        pictures: Pictures,
        labels: np.ndarray,
        transforms: dict[str, Callable[[torch.Tensor], torch.Tensor]],
    ) -> None:
        self.pictures = pictures
        self.labels = labels  # (N,) int64
        self.transforms = transforms

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, draw: Draw) -> tuple[dict[str, torch.Tensor], int, int]:
        """Return the views of one image by name, float32 (3, H, W) each, its label and its index.

        Every transform starts from the same key, so that experts see the same crop, each at its own size.
        """
        index, key = draw
        picture = self.pictures.load(index)
        views = {name: _seeded(transform, picture, key) for name, transform in self.transforms.items()}
        return views, int(self.labels[index]), index


def batches(views: Views, draws: list[Draw], batch_size: int, workers: int, pin_memory: bool = False) -> DataLoader:
    """Return an iterable of (views by name, each (B, 3, H, W); labels (B,) int64; indices (B,) int64).

    The batches follow `draws` in order; the last may be smaller. With workers the pictures that fit in memory
    are decoded first, so that all workers share them.
    """
    if workers:
        views.pictures.fill()
    return DataLoader(
        views,
        batch_sampler=[draws[start : start + batch_size] for start in range(0, len(draws), batch_size)],
        num_workers=workers,
        pin_memory=pin_memory,
        generator=torch.Generator(),  # its own, so that making a loader draws nothing from the global one
    )


def _seeded(transform: Callable[[torch.Tensor], torch.Tensor], picture: torch.Tensor, key: int) -> torch.Tensor:
    # transforms draw from the global CPU generator; it is put back, and those of GPUs are never touched
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(key)
        return transform(picture)
