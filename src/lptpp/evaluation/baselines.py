"""Baselines on frozen features: zero-shot CLIP, nearest class mean, linear probe."""

import warnings
from collections.abc import Iterator

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from lptpp.data.cache import ImageCache
from lptpp.evaluation.evaluate import Ranking, best_classes
from lptpp.evaluation.table import ResultRow
from lptpp.inference.pipeline import frozen_features
from lptpp.inference.runtime import Runner
from lptpp.models.expert import Expert
from lptpp.models.head import class_means
from lptpp.models.mixture import Mixture
from lptpp.utils.progress import progress_bar

STRENGTHS = (0.1, 1.0, 10.0, 100.0)  # scikit-learn's C, chosen on the validation split


def baseline_rankings(
    mixture: Mixture,
    images: dict[str, ImageCache],
    split: str,
    class_names: list[str],
    templates: dict[str, list[str]],
    wanted: list[str],
    runner: Runner,
) -> Iterator[tuple[ResultRow, Ranking]]:
    """Yield (row, ranking) of the wanted baselines for every expert with a frozen backbone.

    Zero-shot needs a text tower, the linear probe at least two classes with training images.
    """
    for name, expert in mixture.experts.items():
        if expert.tune_backbone or not wanted:
            continue
        features = {s: frozen_features(expert, images[s], runner, f"{name}: {s} features") for s in images}
        if "zero_shot" in wanted and expert.backbone.text is not None:
            yield ResultRow("zero_shot", name), zero_shot(expert, features[split][0], class_names, templates[name])
        if "class_means" in wanted:
            yield ResultRow("class_means", name), nearest_mean(features, split, len(class_names), expert.scale)
        if "linear_probe" in wanted and len(features["train"][1].unique()) > 1:
            yield ResultRow("linear_probe", name), linear_probe(features, split, len(class_names), name)


def zero_shot(expert: Expert, features: torch.Tensor, class_names: list[str], templates: list[str]) -> Ranking:
    """Rank classes by CLIP's logits, scale · cos(image, text), for features (n, F)."""
    assert expert.backbone.text is not None
    vectors = expert.backbone.text.class_vectors(class_names, templates)  # (C, F)
    logits = expert.backbone.text.logit_scale * F.normalize(features, dim=-1) @ vectors.T
    return rank(logits.softmax(-1).numpy())


def nearest_mean(
    features: dict[str, tuple[torch.Tensor, torch.Tensor]], split: str, classes: int, scale: float
) -> Ranking:
    """Rank classes by softmax(scale · cosine to the mean unit feature of their training images)."""
    train, labels = features["train"]
    means = class_means(train, labels, torch.zeros(classes, train.shape[1]))
    return rank((scale * F.normalize(features[split][0], dim=-1) @ means.T).softmax(-1).numpy())


def linear_probe(
    features: dict[str, tuple[torch.Tensor, torch.Tensor]], split: str, classes: int, expert: str
) -> Ranking:
    """Rank classes by logistic regression on unit features; its strength is chosen on the validation split if any."""
    unit = {name: (F.normalize(x, dim=-1).numpy(), y.numpy()) for name, (x, y) in features.items()}
    strengths = STRENGTHS if "validation" in unit else (10.0,)
    fitted = []
    with progress_bar(f"{expert}: linear probe", len(strengths)) as bar:
        for strength in strengths:
            fitted.append(_fit(*unit["train"], strength))
            bar.advance()
    best = max(fitted, key=lambda model: model.score(*unit["validation"])) if "validation" in unit else fitted[0]
    probabilities = np.zeros((len(unit[split][0]), classes), dtype=np.float32)
    probabilities[:, best.classes_] = best.predict_proba(unit[split][0])
    return rank(probabilities)


def _fit(features: np.ndarray, labels: np.ndarray, strength: float) -> LogisticRegression:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # an unconverged probe is a weaker row, not a failure
        return LogisticRegression(C=strength, max_iter=300).fit(features, labels)


def rank(probabilities: np.ndarray) -> Ranking:
    """Return the most probable classes of probabilities (n, C)."""
    return best_classes(torch.from_numpy(probabilities))
