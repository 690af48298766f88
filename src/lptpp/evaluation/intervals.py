"""Confidence intervals of accuracies, and classes without test images.

Intervals are those of Wilson ("Probable inference, the law of succession, and statistical inference", 1927). Unlike
p ± z·√(p(1 − p)/n), they stay within 0 and 100 % and hold for few images.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.stats import binomtest, norm

from lptpp.utils.text import listed

CONFIDENCE = 0.95
SMALL_CLASS, SMALL_SPLIT = 5, 400  # fewer test images of the median class, or in all (± 5 points), are few


def interval(accuracy: float, images: int) -> tuple[float, float]:
    """Return the 95 % interval, in percent, of an accuracy (percent) measured on `images` > 0 images."""
    correct = round(accuracy / 100 * images)
    found = binomtest(correct, images).proportion_ci(CONFIDENCE, method="wilson")
    return 100 * float(found.low), 100 * float(found.high)


def widest(images: int) -> float:
    """Return half the width, in points, of the interval of 50 % on `images` > 0 images, the widest: z/(2√(n + z²))."""
    z = norm.ppf((1 + CONFIDENCE) / 2)
    return 50 * z / math.sqrt(images + z**2)


def few_tested(tested: np.ndarray) -> bool:
    """Return whether a test split is small, in all or per class; tested: (C,) test images."""
    each = tested[tested > 0]
    return len(each) > 0 and bool(each.sum() < SMALL_SPLIT or np.median(each) < SMALL_CLASS)


def untested(metrics: Mapping[str, Any]) -> str:
    """Return how many classes of a metrics.json have no evaluated image, and which; empty if there are none."""
    missing = metrics["classes"] - metrics["classes_tested"]
    return f"{missing:,} of {metrics['classes']:,}: {listed(metrics['untested_classes'])}" if missing else ""
