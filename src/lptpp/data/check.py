"""Finds unreadable images: all of them, each checked once, or as many as a few seconds allow."""

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import islice
from typing import Protocol, TypeVar

import numpy as np

from lptpp.data.dataset import ImageReference, Split
from lptpp.data.decode import LIMITED, Decoding, unreadable_reason
from lptpp.utils import exchange, processes
from lptpp.utils.errors import UserError
from lptpp.utils.progress import progress_bar
from lptpp.utils.text import counted
from lptpp.utils.threads import reading_threads

Item = TypeVar("Item")
Result = TypeVar("Result")
Progress = Callable[[int, int], None]  # called with the number of finished items and of all items
Unreadable = tuple[str, str]  # name of an image, reason
CHUNK = 1024  # items queued at once: queueing all images of a large data set takes a gigabyte
SECONDS = 2.0  # of checking before training
SHOWN = 50  # unreadable images named in an error message


class Known(Protocol):
    """What is remembered of images (see `lptpp.data.checked`)."""

    def reasons_of(self, images: Sequence[ImageReference]) -> list[str | None]:
        """Return why each image is unreadable, None if it is readable, "" if it is unknown."""
        ...

    def add(self, images: Sequence[ImageReference], reasons: Sequence[str | None]) -> None:
        """Remember images."""
        ...


def map_in_threads(
    function: Callable[[Item], Result], items: Sequence[Item], progress: Progress | None = None
) -> Iterator[Result]:
    """Yield `function(item)` for every item, in order; `progress` is called after each."""
    with reading_threads() as threads:
        for start in range(0, len(items), CHUNK):
            for done, result in enumerate(threads.map(function, items[start : start + CHUNK]), start + 1):
                if progress is not None:
                    progress(done, len(items))
                yield result


def check_images(
    splits: dict[str, Split],
    on_error: str = "stop",
    decoding: Decoding = LIMITED,
    progress: Progress | None = None,
    checked: Known | None = None,
) -> tuple[dict[str, Split], list[Unreadable]]:
    """Decode every image of every split; return the splits without unreadable images, and the unreadable images.

    Images that `checked` knows are not decoded; it remembers the others. `progress` is called after each image.
    The processes of a run share the images.

    Raises:
        UserError: with `on_error="stop"` if any image is unreadable (one error names all), with "skip" if a split
            has no readable image.
    """
    images = [image for split in splits.values() for image in split.images]
    names = [split.name(i) for split in splits.values() for i in range(len(split))]
    reasons = _shared_reasons(images, decoding, progress, checked)
    if checked is not None and processes.is_main():
        checked.add(images, reasons)
    unreadable = [(name, reason) for name, reason in zip(names, reasons, strict=True) if reason is not None]
    if unreadable and on_error == "stop":
        raise UserError(*_message(unreadable))
    return _readable(splits, np.array([reason is None for reason in reasons])), unreadable


def _shared_reasons(
    images: Sequence[ImageReference], decoding: Decoding, progress: Progress | None, checked: Known | None
) -> list[str | None]:
    """Return `_reasons`, of which each process of a run finds a part."""
    found = _reasons(processes.own_rows(images, CHUNK), decoding, progress, checked)
    parts = (found[start : start + CHUNK] for start in range(0, len(found), CHUNK))
    return [reason for part in exchange.values_in_order(parts) for reason in part]


def refuse_unreadable(
    splits: dict[str, Split],
    decoding: Decoding = LIMITED,
    progress: Progress | None = None,
    checked: Known | None = None,
    seconds: float = SECONDS,
) -> None:
    """Check images of all splits, those of the training split last, for `seconds`, and at least `CHUNK` of them.

    They are spread over each split. An unreadable image that is not found here ends the run when it is used.

    Raises:
        UserError: one of them is unreadable, or is known to be.
    """
    total, done, ends = sum(map(len, splits.values())), 0, time.monotonic() + seconds
    places = ((name, i) for name in _training_last(splits) for i in _spread(len(splits[name])))
    found: dict[tuple[str, int], str] = {}
    while (some := list(islice(places, CHUNK))) and (not done or time.monotonic() < ends):
        images = [splits[name].images[i] for name, i in some]
        reasons = _reasons(images, decoding, progress, checked)
        found |= {place: reason for place, reason in zip(some, reasons, strict=True) if reason is not None}
        done += len(some)
    if found:
        unreadable = [
            (split.name(i), found[name, i]) for name, split in splits.items() for i in sorted(_of(name, found))
        ]
        raise UserError(*_message(unreadable, done, total))


def _of(split: str, places: Iterable[tuple[str, int]]) -> list[int]:
    return [i for name, i in places if name == split]


@contextmanager
def check_progress(total: int) -> Iterator[Progress]:
    """Show the progress of decoding `total` images."""
    with progress_bar("Checking images", total) as bar:
        yield lambda done, total: bar.advance()


def _reasons(
    images: Sequence[ImageReference], decoding: Decoding, progress: Progress | None, checked: Known | None
) -> list[str | None]:
    """Return why each image is unreadable, None if it is readable; those that `checked` knows are not decoded."""
    known = [""] * len(images) if checked is None else checked.reasons_of(images)
    unknown = [i for i, reason in enumerate(known) if reason == ""]
    check = partial(unreadable_reason, how=decoding)
    found: list[str | None] = list(known)
    for i, reason in zip(unknown, map_in_threads(check, [images[i] for i in unknown], progress), strict=True):
        found[i] = reason
    return found


def _message(unreadable: list[Unreadable], checked: int = 0, total: int = 0) -> list[str]:
    """Return the lines of an error."""
    lines = [f"{name}: {reason}" for name, reason in unreadable[:SHOWN]]
    more = [f"and {len(unreadable) - SHOWN} more"] if len(unreadable) > SHOWN else []
    some = f" among {checked:,} of {total:,}; `lptpp data` checks all" if checked < total else ""
    them = "it" if len(unreadable) == 1 else "them"
    number = counted(len(unreadable), "unreadable image")
    head = f"{number}{some}: fix or remove {them}, or set data.on_error=skip to skip {them}."
    return [head, *lines, *more]


def _training_last(splits: Iterable[str]) -> list[str]:
    return sorted(splits, key=lambda name: name == "train")


def _spread(number: int) -> Iterator[int]:
    """Return 0 to `number` - 1 in an order whose every beginning is spread over all of them."""
    step = max(1, int(number * 0.6180339887))
    while math.gcd(step, number) > 1:
        step -= 1
    return (place * step % number for place in range(number))


def _readable(splits: dict[str, Split], readable: np.ndarray) -> dict[str, Split]:
    ends = np.cumsum([len(split) for split in splits.values()])
    masks = np.split(readable, ends[:-1])
    kept = {name: split.subset(np.flatnonzero(mask)) for (name, split), mask in zip(splits.items(), masks, strict=True)}
    empty = [name for name, split in kept.items() if not len(split)]
    if empty:
        raise UserError(f"The {empty[0]} split has no readable image: check that its files are images.")
    return kept
