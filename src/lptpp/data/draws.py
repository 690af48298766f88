"""Which image each draw of an epoch takes, and the key of that draw's randomness."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from lptpp.randomness import key, keys

Draw = tuple[int, int]  # index of an image, key of its randomness (see lptpp.randomness)


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
