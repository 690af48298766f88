"""How far results can be trusted: which classes were not tested, and the 95 % interval of an accuracy.

For n images of which the share p is right, Wilson's interval holds every accuracy q with |p − q| ≤ z·√(q(1 − q)/n):

    (p + z²/2n ± z·√(p(1 − p)/n + z²/4n²)) / (1 + z²/n)

(Wilson, "Probable inference, the law of succession, and statistical inference", 1927), z = 1.96. It stays within 0 and
100 % and holds for few images, where p ± z·√(p(1 − p)/n) does not.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from lptpp.utils.text import listed

Z = 1.959964  # 95 % of a normal distribution are within ± Z
EACH, WHOLE = 5, 400  # fewer images of a class, or in all (± 5 points), are few


def interval(accuracy: float, images: int) -> tuple[float, float]:
    """Return the lower and the upper end, in percent, for an accuracy in percent that `images`, above 0, gave."""
    share, spread = accuracy / 100, Z**2 / images
    half = Z * math.sqrt(share * (1 - share) / images + spread / (4 * images))
    low, high = ((share + spread / 2 + sign * half) / (1 + spread) for sign in (-1, 1))
    return 100 * max(low, 0.0), 100 * min(high, 1.0)


def widest(images: int) -> float:
    """Return half the interval in points where it is widest: for an accuracy of 50 % that `images`, above 0, gave."""
    low, high = interval(50.0, images)
    return (high - low) / 2


def few_tested(tested: np.ndarray) -> bool:
    """Return whether a test part with these images of each class, (C,), is small, in all or for a class on median."""
    each = tested[tested > 0]
    return len(each) > 0 and bool(each.sum() < WHOLE or np.median(each) < EACH)


def untested(metrics: Mapping[str, Any]) -> str:
    """Return how many classes of how many had no image to be tested on, and which, from what metrics.json holds.

    Nothing where there is none; the names only where they were written down, which older run folders lack.
    """
    missing = metrics["classes"] - metrics["classes_tested"]
    names = metrics.get("untested_classes", [])
    message = f"{missing:,} of {metrics['classes']:,}" + (f": {listed(names)}" if names else "")
    return message if missing else ""
