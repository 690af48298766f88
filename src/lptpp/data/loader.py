"""Batches of transformed images, independent of the number of workers."""

import sys
from collections.abc import Iterator, Sequence
from copy import copy
from pathlib import Path
from shutil import disk_usage
from types import TracebackType
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from lptpp.data.cache import ImageCache
from lptpp.data.transforms import BatchTransform
from lptpp.utils import processes
from lptpp.utils.errors import UserError
from lptpp.utils.failures import failure, worker_was_killed
from lptpp.utils.memory import GB
from lptpp.utils.random import key, keys

Sample = tuple[int, int]  # index of an image, random key of its augmentation (see lptpp.utils.random)
ViewBatch = tuple[dict[str, torch.Tensor], torch.Tensor, torch.Tensor]  # views by name, labels, indices


AUTO = "auto"
FEW = 1_000  # images below which workers take longer to start than they save
MOST = 16  # workers; each holds two batches
SHARED_MEMORY = Path("/dev/shm")  # workers hand over their batches there


def worker_count(workers: int | str, device: str, images: int) -> int:
    """Return how many loader processes read `images` images for a type of device: the number given, or for auto some.

    On a GPU one for each core of this process but one, at most `MOST` and one per free GB of shared memory; none for
    few images. On the CPU none: they would compete with the model for the cores.
    """
    if workers != AUTO:
        return int(workers)
    if device != "cuda" or images < FEW:
        return 0
    room = disk_usage(SHARED_MEMORY).free // GB if SHARED_MEMORY.is_dir() else MOST
    return max(0, min(processes.cores() // processes.local_count() - 1, MOST, room))


class EpochSamples(Sequence[Sample]):
    """The samples of an epoch; each random key is computed on access.

    The key depends on the position in the epoch, not on the image: an image sampled ten times is augmented in ten ways.
    images: (n,) int; seed and parts: what else the keys depend on.
    """

    def __init__(self, images: np.ndarray, seed: int, *parts: int | str) -> None:
        self.images = images
        self.base = key(seed, *parts, "draw")
        self.places: np.ndarray | None = None  # positions that a part consists of

    def __len__(self) -> int:
        return len(self.images if self.places is None else self.places)

    def part(self, places: np.ndarray) -> "EpochSamples":
        """Return the samples at some positions (n,) as a sequence of their own, with the same keys."""
        part = copy(self)
        part.places = places
        return part

    def __getitem__(self, at: Any) -> Any:
        """Return the sample at a position, or the list of those in a slice."""
        if isinstance(at, slice):
            return self.at(np.arange(*at.indices(len(self))))
        return self.at(np.array([range(len(self))[at]]))[0]

    def at(self, positions: np.ndarray) -> list[Sample]:
        """Return the samples at positions (n,)."""
        positions = positions if self.places is None else self.places[positions]
        return list(zip(self.images[positions].tolist(), keys(self.base, positions).tolist(), strict=True))


def interleave(orders: Sequence[np.ndarray], size: int) -> np.ndarray:
    """Return S orders of equal length N as one, (S·N,): `size` of each in turn, then the remainder of each."""
    length, streams = len(orders[0]), len(orders)
    whole, result = length // size * size, np.empty(streams * length, dtype=orders[0].dtype)
    body = result[: streams * whole].reshape(-1, streams, size)
    rest = result[streams * whole :].reshape(streams, -1)
    for stream, order in enumerate(orders):
        body[:, stream] = order[:whole].reshape(-1, size)
        rest[stream] = order[whole:]
    return result


class ViewDataset:
    """Images with their views: one per named transform, such as one per backbone of a mixture."""

    def __init__(self, images: ImageCache, labels: np.ndarray, transforms: dict[str, BatchTransform]) -> None:
        self.images = images
        self.labels = labels  # (N,) int64
        self.transforms = transforms

    def __len__(self) -> int:
        return len(self.images)

    def fill(self) -> None:
        """Decode the images that fit in memory, so that workers share them."""
        self.images.fill()

    def of(self, samples: Sequence[Sample]) -> ViewBatch:
        """Return the views of B samples by name, float32 (B, 3, H, W) each, labels (B,) and indices (B,), int64.

        Every transform gets the same keys: all views show the same crop, each at its own size.
        """
        indices, keys = zip(*samples, strict=True)
        images = [self.images.load(index) for index in indices]
        views = {name: transform(images, keys) for name, transform in self.transforms.items()}
        return views, torch.from_numpy(self.labels[list(indices)]), torch.tensor(indices)


class SomeViews(ViewDataset):
    """The views of some images of another data set: those at `kept` (m,)."""

    def __init__(self, views: ViewDataset, kept: np.ndarray) -> None:
        super().__init__(views.images.subset(kept), views.labels[kept], views.transforms)
        self.views = views
        self.kept = kept

    def of(self, samples: Sequence[Sample]) -> ViewBatch:
        """Return views by name, labels (B,) and indices (B,), which count the kept images."""
        seen, labels, _ = self.views.of([(int(self.kept[index]), random_key) for index, random_key in samples])
        return seen, labels, torch.tensor([index for index, _ in samples])

    def fill(self) -> None:
        """Decode images of the other data set."""
        self.views.fill()


def batches(
    views: ViewDataset, samples: Sequence[Sample], batch_size: int, workers: int, first: int = 0, pin: bool = False
) -> Iterator[ViewBatch]:
    """Yield the batches of `samples` in their order, from batch `first` on; the last may be smaller.

    With workers, the images that fit in memory are decoded first, so that all workers share them. `pin`: workers put
    the batches into page-locked memory, from which a GPU copies them while it computes.

    Raises:
        UserError: an image can no longer be read, or a worker was killed.
    """
    if workers:
        views.fill()
    loader = DataLoader(
        _BatchDataset(views, samples, batch_size, first),
        batch_size=None,  # an item is a batch already
        num_workers=workers,
        pin_memory=pin and bool(workers),
        generator=torch.Generator(),  # a new loader does not advance the global generator
        worker_init_fn=_leave_quietly,
    )
    try:
        for batch in loader:
            if isinstance(batch, UserError):
                raise batch
            yield batch
    except (RuntimeError, ConnectionError, EOFError) as error:
        if not worker_was_killed(error):
            raise
        raise UserError(failure(error)) from error


def _leave_quietly(worker: int) -> None:
    """In a loader worker, print no traceback if the process that takes the batches has ended, which says why itself."""
    del worker

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if not issubclass(kind, ConnectionError | EOFError):
            sys.__excepthook__(kind, error, trace)

    sys.excepthook = hook


class _BatchDataset(Dataset):
    """The batches of `samples`, from batch `first` on, as the items of a torch data set."""

    def __init__(self, views: ViewDataset, samples: Sequence[Sample], size: int, first: int) -> None:
        self.views, self.samples, self.size = views, samples, size
        self.starts = range(0, len(samples), size)[first:]

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, number: int) -> ViewBatch | UserError:
        """Return a batch, or why there is none: torch would add the traceback of the worker to the message."""
        start = self.starts[number]
        try:
            return self.views.of(self.samples[start : start + self.size])
        except UserError as error:
            return error
