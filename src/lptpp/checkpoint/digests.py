"""Digests of a run's images, computed while it trains: training does not wait until every file was read."""

import logging
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np

from lptpp.checkpoint.record import read_digests, write_digests
from lptpp.data.content import digest, digests_of
from lptpp.data.dataset import ImageDataset, ImageReference

log = logging.getLogger("lptpp")
FIRST = 2_000  # images that are read at once: a small data set is complete before training
INTERVAL = 300.0  # seconds between two writes
LONGEST_WAIT = 1.0  # seconds for the image that is being read when the run ends


class BackgroundDigests:
    """Reads the images of a run one by one in a thread, and writes their digests at intervals and at the end.

    The thread starts at `begin`, so that it does not slow down what comes before the first step.
    On leaving the block, what is missing is read with a progress bar, unless an error or the user ends the run: the
    next command continues.
    """

    def __init__(self, root: Path, collection: ImageDataset) -> None:
        self.root = root
        self.images = [part.images for part in collection.splits().values()]
        self.digests = read_digests(root, sum(map(len, self.images)))
        self.missing = np.flatnonzero(~self.digests.any(1))
        self.done = 0  # of the missing ones
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="image digests", daemon=True)

    def __enter__(self) -> Self:
        if len(self.missing) <= FIRST:
            self._finish()
        return self

    def begin(self) -> None:
        """Start to read what is missing, unless that has started."""
        if self.done < len(self.missing) and self._thread.ident is None:
            log.info("The contents of %d images are recorded while the run trains.", len(self.missing))
            self._thread.start()

    def __exit__(self, kind: object, *_: object) -> None:
        if not self._thread.is_alive() and self.done == len(self.missing):
            return
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(None if kind is None else LONGEST_WAIT)  # the thread ends with the process
        if kind is None:
            self._finish()
        self._write()

    def _run(self) -> None:
        saved = time.monotonic()
        for place in self.missing.tolist():
            if self._stopping.is_set():
                return
            self.digests[place] = np.frombuffer(digest(self._image(place)), np.uint8)
            self.done += 1
            if time.monotonic() - saved > INTERVAL:
                self._write()
                saved = time.monotonic()
        self._write()

    def _finish(self) -> None:
        rest = self.missing[self.done :]
        if len(rest):
            images: Sequence[ImageReference] = [self._image(place) for place in rest.tolist()]
            self.digests[rest] = digests_of(images, "Recording the images")
            self.done = len(self.missing)
            self._write()

    def _image(self, place: int) -> ImageReference:
        for images in self.images:
            if place < len(images):
                return images[place]
            place -= len(images)
        raise IndexError(place)

    def _write(self) -> None:
        try:
            write_digests(self.root, self.digests)
        except OSError as error:
            log.warning("%s cannot be written (%s); the images will be read again.", self.root, error)
