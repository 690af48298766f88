"""Decoded images, kept in memory up to a limit, at the size that the run needs."""

import threading

import numpy as np
import torch

from lptpp.data.dataset import Split
from lptpp.data.decode import UNLIMITED, Decoding, decode, decode_failure, pixels
from lptpp.utils.errors import UserError
from lptpp.utils.progress import progress_bar
from lptpp.utils.stopping import waiting_for_step
from lptpp.utils.threads import reading_threads

CHUNK = 64  # images decoded at once by `fill`
_storing = threading.Lock()  # not an attribute: loader workers may pickle the cache


class ImageCache:
    """The images of a split; the first ones decoded stay in memory, up to `memory_bytes` in total.

    The workers of a loader share what was cached before they started, but each adds to its own copy afterward: call
    `fill` first.
    """

    def __init__(self, split: Split, memory_bytes: int, decoding: Decoding = UNLIMITED) -> None:
        self.split = split
        self.decoding = decoding
        self._cached: dict[int, torch.Tensor] = {}
        self._free = memory_bytes

    def __len__(self) -> int:
        return len(self.split)

    def subset(self, indices: np.ndarray) -> "ImageCache":
        """Return the images at `indices` (int), decoded in the same way; none is kept in memory."""
        return ImageCache(self.split.subset(indices), 0, self.decoding)

    def load(self, i: int) -> torch.Tensor:
        """Return image `i` as uint8 (3, H, W), not to be modified.

        Raises:
            UserError: the image cannot be read.
        """
        image = self._cached.get(i)
        if image is None:
            image = self._decode(i)
            self._store(i, image)
        return image

    def fill(self) -> None:
        """Decode images in threads until the memory is full or all are cached."""
        missing = [i for i in range(len(self)) if i not in self._cached]
        what = "Decoding images that fit in memory"
        with waiting_for_step(False), reading_threads() as threads, progress_bar(what, None) as bar:
            for start in range(0, len(missing), CHUNK):
                if not self._free:
                    break
                chunk = missing[start : start + CHUNK]
                for i, image in zip(chunk, threads.map(self._decode, chunk), strict=True):
                    self._store(i, image)
                    bar.advance()

    def _decode(self, i: int) -> torch.Tensor:
        try:
            return pixels(decode(self.split.images[i], self.decoding))
        except Exception as error:
            reason = decode_failure(self.split.images[i], error)
            raise UserError(
                f"{self.split.name(i)} cannot be read ({reason}): fix or remove it; `lptpp data` finds all such images."
            ) from error

    def _store(self, i: int, image: torch.Tensor) -> None:
        with _storing:
            if image.nbytes <= self._free:
                self._cached[i] = image
                self._free -= image.nbytes
            else:
                self._free = 0  # full: smaller images might still fit, but which ones would depend on the order
