"""The class frequencies of unlabeled images, estimated from their probabilities.

Saerens, Latinne and Decaestecker, "Adjusting the outputs of a classifier to new a priori probabilities" (Neural
Computation 14, 2002): expectation maximization of the likelihood of the images over the frequencies π,

    r(c|x) ∝ p(c|x) · π(c) / assumed(c)        π(c) = (Σ_x r(c|x) + C · assumed(c)) / (n + C)

where C · assumed(c) stands for one more image per class, so that few images do not rule a class out. The estimate is
right as far as the probabilities are calibrated for the assumed prior.
"""

import logging
from collections.abc import Iterable

import numpy as np
import torch

from lptpp.utils.text import counted

log = logging.getLogger("lptpp")
MOST_NUMBERS = 2 * 10**8  # probabilities kept at once, 0.8 GB: of more images, every k-th batch is used
ITERATIONS, TOLERANCE = 1000, 1e-6  # of the sum of the absolute changes
NAMED = 3
FEW = 100  # images


def estimate(probabilities: np.ndarray, assumed: np.ndarray) -> np.ndarray:
    """Return the class frequencies (C,), sum 1, of images with probabilities (n, C); `assumed` (C,) is positive."""
    images, classes = probabilities.shape
    ratios = (probabilities / assumed).astype(np.float32)  # (n, C), p(x|c) up to a factor per image
    ratios /= ratios.max(1, keepdims=True)
    found = assumed
    for _ in range(ITERATIONS):
        weights = 1 / np.maximum(ratios @ found, 1e-30)  # (n,)
        responsible = found * (weights @ ratios)  # (C,) Σ_x r(c|x)
        before, found = found, (responsible + classes * assumed) / (images + classes)
        found = found / found.sum()
        if np.abs(found - before).sum() < TOLERANCE:
            break
    return found


def estimate_from(
    batches: Iterable[torch.Tensor], images: int, assumed: np.ndarray, class_names: list[str]
) -> np.ndarray:
    """Return the frequencies of about `images` images, given their probabilities (B, C) batch by batch; log them."""
    step = max(1, -(-images * len(assumed) // MOST_NUMBERS))
    kept = [batch.numpy() for place, batch in enumerate(batches) if place % step == 0]
    if not kept:
        return assumed
    probabilities = np.concatenate(kept)
    found = estimate(probabilities, assumed)
    log.info("%s", describe(found, assumed, class_names, len(probabilities)))
    return found


def describe(found: np.ndarray, assumed: np.ndarray, class_names: list[str], images: int) -> str:
    """Return a sentence with the classes whose frequency differs most from the assumed one."""
    order = np.argsort(-np.abs(found - assumed), kind="stable")[:NAMED]
    named = (f"{class_names[i]} {100 * found[i]:.1f}% (assumed {100 * assumed[i]:.1f}%)" for i in order)
    unsure = f" Fewer than {FEW} images give an unreliable estimate." if images < FEW else ""
    return (
        f"Class frequencies estimated from {counted(images, 'image')}, the largest changes: {', '.join(named)}.{unsure}"
    )
