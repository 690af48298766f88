"""The contents of metrics.json: the rows of the shot table, and what describes the run and the evaluation."""

from typing import Any

import numpy as np

from lptpp.config import Settings
from lptpp.evaluation.balanced import balanced_metrics
from lptpp.evaluation.differences import intervals_by_row
from lptpp.evaluation.files import NAMES, mean_weights, names_in
from lptpp.evaluation.findings import weight_ranges
from lptpp.evaluation.groups import group_metrics
from lptpp.evaluation.metrics import percent, tested_by_shot
from lptpp.evaluation.rankings import Evaluation
from lptpp.evaluation.tta import options
from lptpp.models.mixture import Mixture


def summary(
    settings: Settings, mixture: Mixture, names: list[str], counts: np.ndarray, evaluation: Evaluation
) -> dict[str, Any]:
    """Return the contents of metrics.json; `counts` (C,) are the training images of the classes `names`."""
    asked, tested = settings.evaluation, set(evaluation.labels.tolist())
    return {
        "rows": evaluation.metrics(counts, asked.shot_thresholds),
        "balanced": _balanced(settings, evaluation, counts),
        "result": str(evaluation.result),
        "mean_probability": percent(evaluation.rankings[evaluation.result].probabilities[:, 0]),
        "differences": intervals_by_row(evaluation, counts, asked.shot_thresholds),
        "tested": tested_by_shot(evaluation.labels, counts, asked.shot_thresholds),
        "split": asked.split,
        "images": len(evaluation.labels),
        "classes": len(counts),
        "classes_tested": len(tested),
        "untested_classes": [name for label, name in enumerate(names) if label not in tested],
        "training_images": int(counts.sum()),
        "shot_thresholds": list(asked.shot_thresholds),
        "test_time": options(asked),
        "controls": list(asked.controls),
        NAMES: names_in(settings),
        "method": settings.method,
        "seed": settings.seed,
        **_parameters(mixture),
        "scorer_weights": mean_weights(evaluation, counts, asked.shot_thresholds, list(mixture.experts)),
        "scorer_weight_ranges": _weight_ranges(evaluation, list(mixture.experts)),
        "groups": group_metrics(evaluation, settings.experts, counts, asked.shot_thresholds),
        "backbones": {
            name: {"name": expert.backbone.name, "fingerprint": expert.backbone.fingerprint}
            for name, expert in mixture.experts.items()
        },
    }


def _parameters(mixture: Mixture) -> dict[str, Any]:
    parts, frozen = mixture.tuned_parts(), mixture.backbone_parameters()
    tuned = sum(sum(part.values()) for part in parts.values())
    classifiers = sum(part.get("classifier", 0) for part in parts.values())
    return {
        "tuned_parameters": tuned,
        "tuned_without_classifiers": tuned - classifiers,
        "tuned_parts": parts,
        "backbone_parameters": frozen,
        "tuned_share_percent": 100 * tuned / frozen,
        "tuned_share_without_classifiers_percent": 100 * (tuned - classifiers) / frozen,
    }


def _weight_ranges(evaluation: Evaluation, experts: list[str]) -> dict[str, list[float]]:
    return {} if evaluation.weights is None else weight_ranges(evaluation.weights, experts)


def _balanced(settings: Settings, evaluation: Evaluation, counts: np.ndarray) -> dict[str, Any] | None:
    number, seed = settings.evaluation.balanced, settings.data.split_seed
    return balanced_metrics(evaluation, counts, settings.evaluation.shot_thresholds, number, seed) if number else None
