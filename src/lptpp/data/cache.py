"""Decoded pictures, kept in memory while they fit, and the check of all of them before a run starts."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

import numpy as np
import torch
from PIL import Image

from lptpp.data.dataset import Split
from lptpp.data.decode import LARGEST_MEGAPIXELS, decode, problem, why
from lptpp.utils.errors import UserError

Item = TypeVar("Item")
Result = TypeVar("Result")
Progress = Callable[[int, int], None]  # how many are done, how many there are
CHUNK = 1024  # handed to the threads at once: a queue of all pictures of a large data set takes a gigabyte


def in_threads(
    function: Callable[[Item], Result], items: Sequence[Item], progress: Progress | None = None
) -> Iterator[Result]:
    """Yield the function's result for every item, in order; `progress` is told after each."""
    threads = ThreadPoolExecutor()
    try:
        for start in range(0, len(items), CHUNK):
            for done, result in enumerate(threads.map(function, items[start : start + CHUNK]), start + 1):
                if progress is not None:
                    progress(done, len(items))
                yield result
    finally:
        threads.shutdown(cancel_futures=True)  # after Ctrl-C nothing more is begun


Fault = tuple[str, str]  # name of an image, what is wrong with it


class Pictures:
    """The pictures of a split; those decoded first stay in memory, up to `memory_bytes` in total.

    A loader's workers share what was kept before they started, and each would add to it on its own: `fill` first,
    so that nothing is left to add.
    """

    def __init__(self, split: Split, memory_bytes: int) -> None:
        self.split = split
        self._kept: dict[int, torch.Tensor] = {}
        self._room = memory_bytes

    def __len__(self) -> int:
        return len(self.split)

    def load(self, i: int) -> torch.Tensor:
        """Return picture `i` as uint8 (3, H, W); not to be written to.

        Raises:
            UserError: the file cannot be read (any more).
        """
        picture = self._kept.get(i)
        if picture is None:
            picture = self._decode(i)
            self._keep(i, picture)
        return picture

    def fill(self) -> None:
        """Decode pictures in threads until one does not fit or all are there."""
        missing = [i for i in range(len(self)) if i not in self._kept]
        with ThreadPoolExecutor() as threads:
            for start in range(0, len(missing), 64):
                if not self._room:
                    break
                part = missing[start : start + 64]
                for i, picture in zip(part, threads.map(self._decode, part), strict=True):
                    self._keep(i, picture)

    def _decode(self, i: int) -> torch.Tensor:
        try:
            return pixels(decode(self.split.images[i]))
        except Exception as error:
            reason = why(self.split.images[i], error)
            raise UserError(f"{self.split.name(i)} cannot be read ({reason}): mend it or leave it out.") from error

    def _keep(self, i: int, picture: torch.Tensor) -> None:
        if picture.nbytes <= self._room:
            self._kept[i] = picture
            self._room -= picture.nbytes
        else:
            self._room = 0  # full: small pictures that come later would still fit, but which ones is chance


def pixels(picture: Image.Image) -> torch.Tensor:
    """Return an RGB picture as uint8 (3, H, W)."""
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1).contiguous()


def check(
    splits: dict[str, Split],
    on_error: str = "stop",
    largest_megapixels: float = LARGEST_MEGAPIXELS,
    progress: Progress | None = None,
) -> tuple[dict[str, Split], list[Fault]]:
    """Decode every image of every split; return the splits without the bad ones, and those with reasons.

    "stop" raises for bad images, "skip" leaves them out. `progress` is told after each image.

    Raises:
        UserError: bad images and "stop" (one error for all), or with "skip" nothing left of a split.
    """
    images = [image for split in splits.values() for image in split.images]
    names = [split.name(i) for split in splits.values() for i in range(len(split))]
    reasons = list(in_threads(partial(problem, largest_megapixels=largest_megapixels), images, progress))
    faults = [(name, reason) for name, reason in zip(names, reasons, strict=True) if reason is not None]
    if faults and on_error == "stop":
        raise UserError(_told(faults))
    return _without(splits, np.array([reason is None for reason in reasons])), faults


def _told(faults: list[Fault], most: int = 50) -> str:
    lines = [f"{name}: {reason}" for name, reason in faults[:most]]
    more = [f"and {len(faults) - most} more"] if len(faults) > most else []
    head = f"{len(faults)} image(s) cannot be used: mend or remove them; data.on_error=skip leaves them out."
    return "\n".join([head, *lines, *more])


def _without(splits: dict[str, Split], good: np.ndarray) -> dict[str, Split]:
    ends = np.cumsum([len(split) for split in splits.values()])
    parts = np.split(good, ends[:-1])
    left = {name: split.subset(np.flatnonzero(part)) for (name, split), part in zip(splits.items(), parts, strict=True)}
    empty = [name for name, split in left.items() if not len(split)]
    if empty:
        raise UserError(f"No image of the {empty[0]} part can be used: see that the files are pictures Pillow reads.")
    return left
