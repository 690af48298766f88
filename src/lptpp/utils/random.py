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


def keys(base: int, numbers: np.ndarray) -> np.ndarray:
    """Return a key for each of `numbers` (n,), uint64 (n,) of 63 bits, that depends on it and on `base`."""
    return _mixed(np.uint64(base), numbers) >> np.uint64(1)


def uniforms(keys: np.ndarray, count: int) -> np.ndarray:
    """Return `count` numbers, uniform in [0, 1), for each of the keys (n,): (n, count) float64."""
    bits = _mixed(np.asarray(keys, dtype=np.uint64)[:, None], np.arange(count))
    return (bits >> np.uint64(11)) * 2.0**-53


def _mixed(states: np.ndarray | np.uint64, numbers: np.ndarray) -> np.ndarray:
    """Return outputs `numbers`, from 0 on, of SplitMix64 (Steele, Lea, Flood 2014) where it stands at `states`."""
    bits = states + (numbers.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))
