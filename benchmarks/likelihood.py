"""How likely a model finds the truth: less noisy than accuracy where the rare classes have few images."""

import csv
from pathlib import Path

import numpy as np

SMALLEST = 1e-6  # probabilities are not taken to be below this


def class_loss(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Return the mean over classes of the mean −log p of the truth, for n images' p (n,) and any class labels (n,)."""
    losses = -np.log(np.maximum(probabilities, SMALLEST))
    return float(np.mean([losses[labels == label].mean() for label in np.unique(labels)]))


def read_class_loss(predictions: Path) -> float:
    """Return the class loss of a run's predictions.csv."""
    with predictions.open(encoding="utf-8", newline="") as file:
        rows = [(float(row["true_probability"]), row["true"]) for row in csv.DictReader(file)]
    probabilities, labels = zip(*rows, strict=True)
    return class_loss(np.array(probabilities), np.array(labels))
