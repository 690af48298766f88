"""Confidence intervals of accuracies, and classes without test images.

Intervals are those of Wilson ("Probable inference, the law of succession, and statistical inference", 1927). Unlike
p ± z·√(p(1 − p)/n), they stay within 0 and 100% and hold for few images. The difference of two rows on the same
images has the adjusted Wald interval of Bonett and Price (Journal of Educational and Behavioral Statistics 37, 2012).
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.special import ndtri

from lptpp.utils.text import listed

CONFIDENCE = 0.95
SMALL_CLASS, SMALL_SPLIT = 5, 400  # fewer test images of the median class, or in all (± 5 points), are few


def interval(accuracy: float, images: int) -> tuple[float, float]:
    """Return the 95% interval, in percent, of an accuracy (percent) measured on `images` > 0 images."""
    from scipy.stats import binomtest  # here, as importing it takes half a second

    correct = round(accuracy / 100 * images)
    found = binomtest(correct, images).proportion_ci(CONFIDENCE, method="wilson")
    return 100 * float(found.low), 100 * float(found.high)


def paired_interval(first: np.ndarray, second: np.ndarray) -> tuple[float, float]:
    """Return the 95% interval, in points, of the accuracy of one row minus that of another on the same n > 0 images.

    first, second: (n,) whether each row is right. Only images on which one of the two is right count:
    p₁ = (n₁ + 1)/(n + 2), p₂ = (n₂ + 1)/(n + 2), p₁ − p₂ ± z·√((p₁ + p₂ − (p₁ − p₂)²)/(n + 2)).
    """
    images = len(first) + 2
    p1, p2 = ((np.count_nonzero(one & ~other) + 1) / images for one, other in ((first, second), (second, first)))
    half = ndtri((1 + CONFIDENCE) / 2) * math.sqrt((p1 + p2 - (p1 - p2) ** 2) / images)
    return 100 * float(p1 - p2 - half), 100 * float(p1 - p2 + half)


def widest(images: int) -> float:
    """Return half the width, in points, of the interval of 50% on `images` > 0 images, the widest: z/(2√(n + z²))."""
    z = ndtri((1 + CONFIDENCE) / 2)
    return 50 * z / math.sqrt(images + z**2)


def few_tested(tested: np.ndarray) -> bool:
    """Return whether a test split is small, in all or per class; tested: (C,) test images."""
    each = tested[tested > 0]
    return len(each) > 0 and bool(each.sum() < SMALL_SPLIT or np.median(each) < SMALL_CLASS)


def untested(metrics: Mapping[str, Any]) -> str:
    """Return how many classes of a metrics.json have no evaluated image, and which; empty if there are none."""
    missing = metrics["classes"] - metrics["classes_tested"]
    return f"{missing:,} of {metrics['classes']:,}: {listed(metrics['untested_classes'])}" if missing else ""
