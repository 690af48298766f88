"""Baselines on frozen features: zero-shot CLIP, nearest class mean, linear probes."""

import logging
from collections.abc import Iterator, Mapping

import numpy as np
import torch
import torch.nn.functional as F

from lptpp.data.cache import ImageCache
from lptpp.evaluation.evaluate import Ranking, best_classes
from lptpp.evaluation.probes import Features, fit_probes, joint
from lptpp.evaluation.table import JOINT, PROBES, ResultRow
from lptpp.inference.pipeline import frozen_features
from lptpp.inference.runtime import Runner
from lptpp.models.expert import Expert
from lptpp.models.head import class_means
from lptpp.models.mixture import Mixture
from lptpp.utils import processes

log = logging.getLogger("lptpp")


def baseline_rankings(
    mixture: Mixture,
    images: dict[str, ImageCache],
    split: str,
    class_names: list[str],
    templates: dict[str, list[str]],
    wanted: list[str],
    runner: Runner,
) -> Iterator[tuple[ResultRow, Ranking]]:
    """Yield (row, ranking) of the wanted baselines for every expert with a frozen backbone, then for all together.

    Zero-shot needs a text tower; for the probes see `lptpp.evaluation.probes`.
    """
    frozen = {name: expert for name, expert in mixture.experts.items() if not expert.tune_backbone}
    towers: dict[str, Features] = {}
    for name, expert in frozen.items() if wanted else ():
        features = {s: frozen_features(expert, images[s], runner, f"{name}: {s} features") for s in images}
        if not processes.is_main():
            continue  # the main process alone needs the features
        if "zero_shot" in wanted and expert.backbone.text is not None:
            yield ResultRow("zero_shot", name), zero_shot(expert, features[split][0], class_names, templates[name])
        if "class_means" in wanted:
            yield ResultRow("class_means", name), nearest_mean(features, split, len(class_names), expert.scale)
        towers[name] = joint([features])
        probes = {kind: kind for kind in PROBES if kind in wanted}
        yield from probe_rankings(towers[name], probes, split, len(class_names), name)
    together = {row: row.removeprefix("joint_") for row in JOINT if row in wanted}
    if not processes.is_main():
        return
    if together and len(towers) < 2:
        log.info("%s: no row, as there are not two experts with frozen backbones.", ", ".join(together))
    elif together:
        features_of_all = joint(list(towers.values()))
        yield from probe_rankings(features_of_all, together, split, len(class_names), "all towers")


def zero_shot(expert: Expert, features: torch.Tensor, class_names: list[str], templates: list[str]) -> Ranking:
    """Rank classes by CLIP's logits, scale · cos(image, text), for features (n, F)."""
    assert expert.backbone.text is not None
    vectors = expert.backbone.text.class_vectors(class_names, templates)  # (C, F)
    logits = expert.backbone.text.logit_scale * F.normalize(features, dim=-1) @ vectors.T
    return rank(logits.softmax(-1).numpy())


def nearest_mean(features: Features, split: str, classes: int, scale: float) -> Ranking:
    """Rank classes by softmax(scale · cosine to the mean unit feature of their training images)."""
    train, labels = features["train"]
    means = class_means(train, labels, torch.zeros(classes, train.shape[1]))
    return rank((scale * F.normalize(features[split][0], dim=-1) @ means.T).softmax(-1).numpy())


def probe_rankings(
    features: Features, rows: Mapping[str, str], split: str, classes: int, name: str
) -> Iterator[tuple[ResultRow, Ranking]]:
    """Yield (row, ranking) of probes on unit features; `rows` are their kinds (`PROBES`) by the kind of the row."""
    probes = fit_probes(features, list(rows.values()), split, classes, name) if rows else {}
    for row, kind in rows.items():
        if kind in probes:
            found = probes[kind].probabilities(features[split][0].numpy(), classes)
            yield ResultRow(row, "" if row in JOINT else name), rank(found)


def rank(probabilities: np.ndarray) -> Ranking:
    """Return the most probable classes of probabilities (n, C)."""
    return best_classes(torch.from_numpy(probabilities))
