"""Baselines on frozen features: zero-shot CLIP, nearest class mean, linear probes."""

import logging
from collections.abc import Callable, Iterator, Mapping
from functools import partial

import torch
import torch.nn.functional as F

from lptpp.data.cache import ImageCache
from lptpp.evaluation.evaluate import best_classes, joined
from lptpp.evaluation.probes import Features, Probe, fit_probes, joint, too_large
from lptpp.evaluation.rankings import Ranking
from lptpp.evaluation.table import BASELINES, JOINT, PROBES, ResultRow
from lptpp.inference.pipeline import frozen_features
from lptpp.inference.runtime import Runner
from lptpp.models.expert import Expert
from lptpp.models.head import class_means
from lptpp.models.mixture import Mixture
from lptpp.utils import processes
from lptpp.utils.text import either

log = logging.getLogger("lptpp")
BLOCK = 4_096  # images whose probabilities are in memory


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

    Zero-shot needs a text tower; for the probes see `lptpp.evaluation.probes`. The log says what gets no row.
    """
    frozen = {name: expert for name, expert in mixture.experts.items() if not expert.tune_backbone}
    _log_missing(mixture, frozen, wanted)
    widths = {name: expert.heads[0].weight.shape[1] for name, expert in frozen.items()}
    towers: dict[str, Features] = {}
    for name, expert in frozen.items() if wanted else ():
        with_training = _reads_training(wanted, images, widths, name, len(class_names))
        used = images if with_training else {split: images[split]}
        features = {s: frozen_features(expert, one, runner, f"{name}, baselines, {s} split") for s, one in used.items()}
        if not processes.is_main():
            continue  # the main process alone needs the features
        if "zero_shot" in wanted and expert.backbone.text is not None:
            yield ResultRow("zero_shot", name), zero_shot(expert, features[split][0], class_names, templates[name])
        if "class_means" in wanted:
            yield ResultRow("class_means", name), nearest_mean(features, split, len(class_names), expert.scale)
        if with_training:
            towers[name] = joint([features])
            probes = {kind: kind for kind in PROBES if kind in wanted}
            yield from probe_rankings(towers[name], probes, split, len(class_names), name)
    if processes.is_main() and len(towers) == len(frozen):  # else a probe is too large, which is logged
        yield from _joint_rankings(towers, wanted, split, len(class_names))


def _log_missing(mixture: Mixture, frozen: Mapping[str, Expert], wanted: list[str]) -> None:
    """Log which wanted baselines get no row, and what the experts lack."""
    reads_text = any(expert.backbone.text is not None for expert in frozen.values())
    lacking = {
        "a frozen backbone with a text tower": [row for row in wanted if row == "zero_shot" and not reads_text],
        "a second expert with a frozen backbone": [row for row in wanted if row in JOINT and len(frozen) == 1],
    }
    for lack, rows in lacking.items() if frozen else [("a frozen backbone", wanted)]:
        if rows:
            log.info("Baselines without a row: %s, for lack of %s.", ", ".join(rows), lack)
    if wanted and frozen and (trained := sorted(mixture.experts.keys() - frozen)):
        log.info("Experts without baselines: %s, for lack of a frozen backbone.", ", ".join(trained))


def _joint_rankings(
    towers: Mapping[str, Features], wanted: list[str], split: str, classes: int
) -> Iterator[tuple[ResultRow, Ranking]]:
    """Yield (row, ranking) of the wanted probes on the features of all towers together."""
    together = {row: row.removeprefix("joint_") for row in JOINT if row in wanted}
    if together and len(towers) > 1:
        yield from probe_rankings(joint(list(towers.values())), together, split, classes, "all towers")


def _reads_training(
    wanted: list[str], images: Mapping[str, ImageCache], widths: Mapping[str, int], name: str, classes: int
) -> bool:
    """Return whether a baseline of an expert needs the features of all training images; log what is too large."""
    if "train" not in images or "class_means" in wanted:
        return True
    asked = [row for row in (*PROBES, *JOINT) if row in wanted]
    number = len(images["train"])
    reasons = [too_large(number, sum(widths.values()) if row in JOINT else widths[name], classes) for row in asked]
    if asked and all(reasons):
        log.info("%s: no %s: %s.", name, either(BASELINES.get(row, row) for row in asked), reasons[0])
    return bool(asked) and not all(reasons)


def zero_shot(expert: Expert, features: torch.Tensor, class_names: list[str], templates: list[str]) -> Ranking:
    """Rank classes by the text tower's probabilities, from cos(image, text), for features (n, F)."""
    text = expert.backbone.text
    assert text is not None
    vectors = text.class_vectors(class_names, templates)  # (C, F)
    return _in_blocks(lambda block: text.probabilities(block @ vectors.T), F.normalize(features, dim=-1))


def nearest_mean(features: Features, split: str, classes: int, scale: float) -> Ranking:
    """Rank classes by softmax(scale · cosine to the mean unit feature of their training images)."""
    train, labels = features["train"]
    means = class_means(train, labels, torch.zeros(classes, train.shape[1]))
    scaled = scale * F.normalize(features[split][0], dim=-1)
    return _in_blocks(lambda block: (block @ means.T).softmax(-1), scaled)


def probe_rankings(
    features: Features, rows: Mapping[str, str], split: str, classes: int, name: str
) -> Iterator[tuple[ResultRow, Ranking]]:
    """Yield (row, ranking) of probes on unit features; `rows` are their kinds (`PROBES`) by the kind of the row."""
    probes = fit_probes(features, list(rows.values()), split, classes, name) if rows else {}
    for row, kind in rows.items():
        if kind in probes:
            probe = partial(_probe_block, probes[kind], classes)
            yield ResultRow(row, "" if row in JOINT else name), _in_blocks(probe, features[split][0])


def _probe_block(probe: Probe, classes: int, block: torch.Tensor) -> torch.Tensor:
    return torch.from_numpy(probe.probabilities(block.numpy(), classes))


def _in_blocks(probabilities: Callable[[torch.Tensor], torch.Tensor], features: torch.Tensor) -> Ranking:
    """Return the most probable classes by the `probabilities` (B, C) of features (n, F), `BLOCK` images at a time."""
    return joined([best_classes(probabilities(block)) for block in features.split(BLOCK)])
