"""Randomness as a function of what it is for, never of how often somebody drew before.

Every order of an epoch, every augmentation and every step's noise starts from `key(seed, phase, epoch, index)`. So the
number of loader workers changes nothing, and a resumed run replays nothing.
"""

import hashlib

import numpy as np


def key(seed: int, *parts: str | int) -> int:
    """Return 63 bits that depend on the seed and on every part, in order."""
    text = "/".join(str(part) for part in (seed, *parts))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little") >> 1


def generator(seed: int, *parts: str | int) -> np.random.Generator:
    """Return a NumPy generator that starts from `key(seed, *parts)`."""
    return np.random.default_rng(key(seed, *parts))


def uniforms(key: int, count: int) -> np.ndarray:
    """Return `count` numbers, uniform in [0, 1), that depend on the key alone."""
    return np.random.Generator(np.random.Philox(key=key)).random(count)
