"""Decodes every image before a run starts, to find unreadable ones."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import TypeVar

import numpy as np

from lptpp.data.dataset import ImageReference, Split
from lptpp.data.decode import LIMITED, Decoding, unreadable_reason
from lptpp.utils import exchange, processes
from lptpp.utils.errors import UserError
from lptpp.utils.progress import progress_bar

Item = TypeVar("Item")
Result = TypeVar("Result")
Progress = Callable[[int, int], None]  # called with the number of finished items and of all items
Unreadable = tuple[str, str]  # name of an image, reason
CHUNK = 1024  # items queued at once: queueing all images of a large data set takes a gigabyte
SHOWN = 50  # unreadable images named in an error message


def map_in_threads(
    function: Callable[[Item], Result], items: Sequence[Item], progress: Progress | None = None
) -> Iterator[Result]:
    """Yield `function(item)` for every item, in order; `progress` is called after each."""
    threads = ThreadPoolExecutor()
    try:
        for start in range(0, len(items), CHUNK):
            for done, result in enumerate(threads.map(function, items[start : start + CHUNK]), start + 1):
                if progress is not None:
                    progress(done, len(items))
                yield result
    finally:
        threads.shutdown(cancel_futures=True)  # Ctrl-C does not wait for the rest of the queue


def check_images(
    splits: dict[str, Split],
    on_error: str = "stop",
    decoding: Decoding = LIMITED,
    progress: Progress | None = None,
) -> tuple[dict[str, Split], list[Unreadable]]:
    """Decode every image of every split; return the splits without unreadable images, and the unreadable images.

    `progress` is called after each image. The processes of a run share the images.

    Raises:
        UserError: with `on_error="stop"` if any image is unreadable (one error names all), with "skip" if a split
            has no readable image.
    """
    images = [image for split in splits.values() for image in split.images]
    names = [split.name(i) for split in splits.values() for i in range(len(split))]
    reasons = _reasons(images, decoding, progress)
    unreadable = [(name, reason) for name, reason in zip(names, reasons, strict=True) if reason is not None]
    if unreadable and on_error == "stop":
        raise UserError(_message(unreadable))
    return _readable(splits, np.array([reason is None for reason in reasons])), unreadable


def _reasons(images: Sequence[ImageReference], decoding: Decoding, progress: Progress | None) -> list[str | None]:
    """Return why each image is unreadable, None if it is not."""
    own = processes.own_rows(images, CHUNK)
    found = list(map_in_threads(partial(unreadable_reason, how=decoding), own, progress))
    parts = (found[start : start + CHUNK] for start in range(0, len(found), CHUNK))
    return [reason for part in exchange.values_in_order(parts) for reason in part]


@contextmanager
def check_progress(total: int) -> Iterator[Progress]:
    """Show the progress of decoding `total` images."""
    with progress_bar("Checking images", total) as bar:
        yield lambda done, total: bar.advance()


def _message(unreadable: list[Unreadable]) -> str:
    lines = [f"{name}: {reason}" for name, reason in unreadable[:SHOWN]]
    more = [f"and {len(unreadable) - SHOWN} more"] if len(unreadable) > SHOWN else []
    head = f"{len(unreadable)} unreadable image(s): fix or remove them, or set data.on_error=skip to skip them."
    return "\n".join([head, *lines, *more])


def _readable(splits: dict[str, Split], readable: np.ndarray) -> dict[str, Split]:
    ends = np.cumsum([len(split) for split in splits.values()])
    masks = np.split(readable, ends[:-1])
    kept = {name: split.subset(np.flatnonzero(mask)) for (name, split), mask in zip(splits.items(), masks, strict=True)}
    empty = [name for name, split in kept.items() if not len(split)]
    if empty:
        raise UserError(f"The {empty[0]} split has no readable image: check that its files are images.")
    return kept
