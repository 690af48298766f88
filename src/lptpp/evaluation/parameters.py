"""How many parameters a run trains and freezes, from its metrics.json."""

from collections.abc import Mapping
from typing import Any

from lptpp.evaluation.table import two_digits

Metrics = Mapping[str, Any]


def frozen_parameters(metrics: Metrics) -> int:
    """Return how many parameters of the image towers are frozen; a backbone may be trained (method full)."""
    trained = sum(parts.get("backbone", 0) for parts in metrics["tuned_parts"].values())
    return int(metrics["backbone_parameters"] - trained)


def trainable_share(metrics: Metrics) -> str | None:
    """Return the trainable parameters in percent of the frozen ones; None if a backbone is trained."""
    if frozen_parameters(metrics) < metrics["backbone_parameters"]:
        return None
    return f"{two_digits(metrics['tuned_share_percent'])}%"


def parameters(metrics: Metrics) -> str:
    """Return all numbers: 96 trainable, 133,140 frozen (0.072%; 0% without the classifiers)."""
    numbers = f"{metrics['tuned_parameters']:,} trainable, {frozen_parameters(metrics):,} frozen"
    share, without = trainable_share(metrics), two_digits(metrics["tuned_share_without_classifiers_percent"])
    return f"{numbers} ({share}; {without}% without the classifiers)" if share else numbers
