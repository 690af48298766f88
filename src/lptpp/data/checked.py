"""Which images were checked before, so that each is decoded once: by `lptpp data`, or by a run that skips some.

What is remembered of an image holds as long as its file has the same size and time. It only saves work: a run without
this memory comes to the same images.
"""

import hashlib
import logging
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lptpp.data.content import UNKNOWN, stamps_of
from lptpp.data.dataset import ImageReference
from lptpp.data.decode import Decoding
from lptpp.utils.arrays import read_arrays, write_arrays
from lptpp.utils.disk import make_folder

log = logging.getLogger("lptpp")
READABLE, NOT_CHECKED = 0, -1  # codes of images; other codes count the reasons from 1
SEPARATOR = "\0"  # between reasons


class Checked:
    """What is known of the images of one folder, decoded in one way: hashes of their paths, stamps and codes."""

    def __init__(self, root: str | None, how: Decoding) -> None:
        place = hashlib.blake2b(f"{os.path.realpath(root or '.')} {how!r}".encode(), digest_size=16).hexdigest()
        self.path = _folder() / f"{place}.safetensors"
        self.hashes = np.empty(0, np.uint64)  # (k,) ascending
        self.stamps = np.empty((0, 2), np.int64)
        self.codes = np.empty(0, np.int32)
        self.reasons: list[str] = []
        self._read()

    def reasons_of(self, images: Sequence[ImageReference]) -> list[str | None]:
        """Return why each image is unreadable, None if it is readable, "" if it is unknown."""
        if not len(self.hashes):
            return [""] * len(images)
        hashes = _hashes(images)
        places = np.minimum(np.searchsorted(self.hashes, hashes), len(self.hashes) - 1)
        same = (self.hashes[places] == hashes) & (self.stamps[places] == stamps_of(images)).all(1)
        codes = np.where(same, self.codes[places], NOT_CHECKED)
        return [self.reasons[code - 1] if code > 0 else ("" if code else None) for code in codes.tolist()]

    def add(self, images: Sequence[ImageReference], reasons: Sequence[str | None]) -> None:
        """Remember images and why each is unreadable, None if it is readable; images without a stamp are left out."""
        if not len(images):
            return
        stamps, hashes = stamps_of(images), _hashes(images)
        known = list(dict.fromkeys([*self.reasons, *(reason for reason in reasons if reason is not None)]))
        number = {reason: code for code, reason in enumerate(known, 1)}
        codes = np.array([READABLE if reason is None else number[reason] for reason in reasons], np.int32)
        kept = (stamps[:, 0] > UNKNOWN[0]) & (stamps[:, 1] > UNKNOWN[1])
        every = np.concatenate([hashes[kept], self.hashes])  # np.unique keeps the first, which is the newest
        self.hashes, first = np.unique(every, return_index=True)
        self.stamps = np.concatenate([stamps[kept], self.stamps])[first]
        self.codes = np.concatenate([codes[kept], self.codes])[first]
        self.reasons = known
        self._write()

    def _read(self) -> None:
        if (found := read_arrays(self.path)) is not None:
            arrays, about = found
            self.reasons = [one for one in about["reasons"].split(SEPARATOR) if one]
            self.hashes, self.stamps, self.codes = (arrays[name] for name in ("hashes", "stamps", "codes"))

    def _write(self) -> None:
        arrays: dict[str, np.ndarray] = {"hashes": self.hashes, "stamps": self.stamps, "codes": self.codes}
        try:
            make_folder(self.path.parent)
            write_arrays(self.path, arrays, {"reasons": SEPARATOR.join(self.reasons)})
        except OSError as error:
            reason = error.strerror
            log.warning("%s cannot be written (%s): the next command checks the images again.", self.path, reason)


def _folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "lptpp" / "checked"


def _hashes(images: Sequence[ImageReference]) -> np.ndarray:
    """Return a hash of the name of each image, (n,) uint64."""
    names = (b"" if isinstance(image, np.ndarray) else os.fsencode(str(image)) for image in images)
    found = b"".join(hashlib.blake2b(name, digest_size=8).digest() for name in names)
    return np.frombuffer(found, np.uint64)
