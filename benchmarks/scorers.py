"""The scorer's variants on one finished run: what it reads, what it learns from and how fast, what its weights mix.

The experts' outputs are computed once; each scorer trains on them in seconds and is judged on the validation part of
the run, which the experts never saw. A scorer that learns from a held-back part learns from one half of the validation
part and judges the other, in turn.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from likelihood import class_loss
from lptpp.config import ScorerSettings, Settings
from lptpp.data.cache import Pictures
from lptpp.data.loader import Draw, Draws, Views
from lptpp.data.prepare import collection_of
from lptpp.data.split import stratified_part
from lptpp.evaluation.metrics import shot_accuracy
from lptpp.inference.model import load
from lptpp.inference.runtime import each_once, evaluation_views
from lptpp.models.mixture import Mixture
from lptpp.models.scorer import MIXES, READS, Scorer
from lptpp.training.fit import Training
from lptpp.training.loop import Position, train
from lptpp.training.phases import ScorerData, scorer_orders, scorer_phase

VIEWS = 2  # of each training image, where they are augmented


@dataclass(frozen=True)
class Outputs:
    """What the experts say of n images."""

    features: list[torch.Tensor]  # of each expert (n, F_e)
    scores: torch.Tensor  # (n, E, C)
    labels: torch.Tensor  # (n,)

    def part(self, indices: np.ndarray) -> "Outputs":
        """Return what is said of some of the images."""
        return Outputs([one[indices] for one in self.features], self.scores[indices], self.labels[indices])


class Silent:
    """A recorder that records nothing."""

    def step(self, *_: Any) -> None:
        """Do nothing."""

    def epoch(self, *_: Any) -> None:
        """Do nothing."""


class StandIn:
    """As much of a mixture as phase 3 trains."""

    def __init__(self, outputs: Outputs, settings: ScorerSettings) -> None:
        torch.manual_seed(0)
        widths = [one.shape[1] for one in outputs.features]
        self.scorer = Scorer(widths, settings.hidden, outputs.scores.shape[2], settings.reads)
        self.mix = MIXES[settings.mixes]


@torch.no_grad()
def outputs(training: Training, mixture: Mixture, views: Views, draws: Sequence[Draw]) -> Outputs:
    """Return what the experts say of some views of pictures."""
    features, scores, labels = [], [], []
    for expert_outputs, label, _ in training.runner.expert_outputs(mixture, views, draws, "Experts' outputs"):
        features.append([F.normalize(one.feature.float(), dim=-1) for one in expert_outputs.values()])
        scores.append(mixture.confidences(expert_outputs))
        labels.append(label)
    return Outputs([torch.cat(one) for one in zip(*features, strict=True)], torch.cat(scores), torch.cat(labels))


def scorer_rows(run: Path, learning_rates: Sequence[float]) -> Iterator[dict[str, Any]]:
    """Yield a row of accuracies for each expert, the plain averages, and each scorer's variant at each rate."""
    model = load(run)
    settings = model.settings
    collection = collection_of(settings)
    assert collection.validation is not None, f"{run} has no validation part"
    training = Training(settings, collection, model.mixture, None)
    held = Pictures(collection.validation, 2**30)
    batches = outputs(training, model.mixture, evaluation_views(model.mixture, held), each_once(held))
    counts = collection.counts()
    for place, name in enumerate(model.mixture.experts):
        yield {"row": f"{name} alone"} | accuracies(batches.scores[:, place], batches, counts)
    for mixes, mix in MIXES.items():
        equal = torch.full(batches.scores.shape[:2], 1 / batches.scores.shape[1])
        yield {"row": f"plain average of {mixes}"} | accuracies(mix(batches.scores, equal), batches, counts)
    sources = _sources(training, model.mixture, settings)
    for rate in learning_rates:
        at_rate = replace(settings, phase3=replace(settings.phase3, learning_rate=rate))
        for row in _variants(sources, batches, at_rate, training, counts):
            yield row | {"row": f"{row['row']}, at {rate:g}", "learning_rate": rate}


def _sources(training: Training, mixture: Mixture, settings: Settings) -> dict[str, Outputs]:
    """Return what a scorer may learn from besides held-back images: the experts' outputs on their own training part."""
    pictures, names = training.pictures, list(mixture.experts)
    found = {"training part": outputs(training, mixture, evaluation_views(mixture, pictures), each_once(pictures))}
    strong = replace(settings.augmentation, smallest_crop=0.2, color=0.6)
    for source, augmentation in {"augmented views": settings.augmentation, "strongly augmented views": strong}.items():
        training.settings = replace(settings, augmentation=augmentation)
        draws = Draws(np.tile(np.arange(len(pictures)), VIEWS), 0, source)
        found[source] = outputs(training, mixture, training._views(names, pictures), draws)
    return found


def _variants(
    sources: dict[str, Outputs], batches: Outputs, settings: Settings, training: Training, counts: np.ndarray
) -> Iterator[dict[str, Any]]:
    halves = stratified_part(batches.labels.numpy(), 0.5, 0)
    for mixes in MIXES:
        for reads in READS:
            scorer = replace(settings.phase3, reads=reads, mixes=mixes)
            for source, given in sources.items():
                found, weight = _predictor(given, batches, scorer, training)
                yield _row(source, reads, mixes, weight) | accuracies(found, batches, counts)
            found, weights = torch.empty_like(batches.scores[:, 0]), []
            for learn, rest in (halves, halves[::-1]):
                found[rest], weight = _predictor(batches.part(learn), batches.part(rest), scorer, training)
                weights.append(weight)
            yield _row("held-back part", reads, mixes, float(np.mean(weights))) | accuracies(found, batches, counts)


def _row(source: str, reads: str, mixes: str, weight: float) -> dict[str, Any]:
    return {"row": f"scorer on {reads}, from the {source}, mixing {mixes}", "first_weight": weight}


def _predictor(
    given: Outputs, batches: Outputs, settings: ScorerSettings, training: Training
) -> tuple[torch.Tensor, float]:
    """Train a scorer on `given`; return its probabilities for `judged`, and the first expert's mean weight."""
    mixture: Any = StandIn(given, settings)
    draws = VIEWS * settings.epochs * len(training.pictures)  # as many for all, however many outputs there are
    epochs = max(1, round(draws / len(given.labels)))
    settings = replace(settings, epochs=epochs, warmup_epochs=settings.warmup_epochs * epochs / settings.epochs)
    orders = scorer_orders(given.labels.numpy(), settings, 0)
    stage = scorer_phase(mixture, ScorerData(given.features, given.scores, given.labels, orders), settings)
    train(stage, training.accelerator, Silent(), 0, Position(stage.name), None)
    with torch.no_grad():
        weights = mixture.scorer(batches.features, batches.scores)
        return mixture.mix(batches.scores, weights), float(weights[:, 0].mean())


def accuracies(probabilities: torch.Tensor, batches: Outputs, counts: np.ndarray) -> dict[str, Any]:
    """Return the shot accuracies of probabilities (n, C), and their class loss."""
    best, labels = probabilities.max(1), batches.labels.numpy()
    loss = class_loss(probabilities.gather(1, batches.labels[:, None])[:, 0].numpy(), labels)
    return shot_accuracy(best.indices.numpy(), best.values.numpy(), labels, counts) | {"class_loss": loss}
