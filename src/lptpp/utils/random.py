"""Random numbers as a function of their purpose, not of a shared stream.

The order of an epoch, every augmentation and the noise of every step are seeded by `key(seed, phase, epoch, index)`. So
results do not depend on the number of loader workers, and a resumed run does not replay earlier draws.
"""

import hashlib

import numpy as np


def key(seed: int, *parts: str | int) -> int:
    """Return a 63-bit hash of the seed and the parts, in order."""
    text = "/".join(str(part) for part in (seed, *parts))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little") >> 1


def generator(seed: int, *parts: str | int) -> np.random.Generator:
    """Return a NumPy generator seeded by `key(seed, *parts)`."""
    return np.random.default_rng(key(seed, *parts))


def keys(base: int, numbers: np.ndarray) -> np.ndarray:
    """Return a 63-bit key for each of `numbers` (n,), derived from it and `base`; (n,) uint64."""
    return _mixed(np.uint64(base), numbers) >> np.uint64(1)


def uniforms(keys: np.ndarray, count: int) -> np.ndarray:
    """Return `count` uniform numbers in [0, 1) for each of the keys (n,): (n, count) float64."""
    bits = _mixed(np.asarray(keys, dtype=np.uint64)[:, None], np.arange(count))
    return (bits >> np.uint64(11)) * 2.0**-53


def _mixed(states: np.ndarray | np.uint64, numbers: np.ndarray) -> np.ndarray:
    """Return the outputs `numbers` (from 0) of SplitMix64 (Steele, Lea, Flood 2014) seeded by `states`."""
    bits = states + (numbers.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))
