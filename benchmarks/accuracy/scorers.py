"""Variants of the scorer on one finished run: inputs, training data, learning rate, and what its weights mix.

The expert outputs are computed once; each scorer trains on them in seconds and is evaluated on the validation split of
the run, which the experts were not trained on. A scorer trained on held-back images is trained on one half of the
validation split and evaluated on the other, in turn.
"""

import csv
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from lptpp.config import ScorerSettings, Settings
from lptpp.config.choices import READS
from lptpp.data.cache import ImageCache
from lptpp.data.loader import EpochSamples
from lptpp.data.loader import batches as load_batches
from lptpp.data.prepare import load_dataset
from lptpp.data.split import stratified_split
from lptpp.evaluation.metrics import shot_accuracy
from lptpp.inference.model import load
from lptpp.inference.pipeline import Pipeline
from lptpp.models.controls import MixingControls
from lptpp.models.mixture import Mixture
from lptpp.models.scorer import MIXES, Scorer
from lptpp.training.fit import Training
from lptpp.training.loop import Position, train
from lptpp.training.scorer_phase import ScorerData, scorer_draws, scorer_phase

VIEWS = 2  # per training image, if augmented
SMALLEST = 1e-6  # lower bound of probabilities


@dataclass(frozen=True)
class SavedOutputs:
    """Expert outputs for n images."""

    features: list[torch.Tensor]  # of each expert (n, F_e)
    scores: torch.Tensor  # (n, E, C)
    labels: torch.Tensor  # (n,)

    def subset(self, indices: np.ndarray) -> "SavedOutputs":
        """Select images."""
        return SavedOutputs([one[indices] for one in self.features], self.scores[indices], self.labels[indices])


class NoRecorder:
    """A recorder that records nothing."""

    def step(self, *_: Any) -> None:
        """Do nothing."""

    def epoch(self, *_: Any) -> None:
        """Do nothing."""


class ScorerOnly:
    """The parts of a mixture that phase 3 uses."""

    def __init__(self, outputs: SavedOutputs, settings: ScorerSettings) -> None:
        torch.manual_seed(0)
        widths = [one.shape[1] for one in outputs.features]
        self.scorer = Scorer(widths, settings.hidden, outputs.scores.shape[2], settings.reads)
        self.controls = MixingControls(len(widths), outputs.scores.shape[2])
        self.mix = MIXES[settings.mixes]


@torch.no_grad()
def outputs(mixture: Mixture, batches: Iterable) -> SavedOutputs:
    """Return the expert outputs of batches as one."""
    features, scores, labels = [], [], []
    for expert_outputs, label, _ in batches:
        features.append([F.normalize(one.feature.float(), dim=-1) for one in expert_outputs.values()])
        scores.append(mixture.confidences(expert_outputs))
        labels.append(label)
    return SavedOutputs([torch.cat(one) for one in zip(*features, strict=True)], torch.cat(scores), torch.cat(labels))


def scorer_rows(run: Path, learning_rates: Sequence[float]) -> Iterator[dict[str, Any]]:
    """Yield a row of accuracies per expert, per plain average, and per variant of the scorer at each learning rate."""
    model = load(run)
    settings = model.settings
    collection = load_dataset(settings)
    assert collection.validation is not None, f"{run} has no validation split"
    training = Training(settings, collection, model.mixture, None)
    held, pipeline = ImageCache(collection.validation, 2**30), Pipeline(model.mixture, training.runner)
    batches = outputs(model.mixture, pipeline.expert_outputs(held, "Expert outputs"))
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


def _sources(training: Training, mixture: Mixture, settings: Settings) -> dict[str, SavedOutputs]:
    """Return the training data of the scorer besides held-back images: expert outputs on the training split."""
    inputs, runner, names = training.inputs, training.runner, list(mixture.experts)
    pictures = inputs.cache
    plain = Pipeline(mixture, runner).expert_outputs(pictures, "Expert outputs")
    found = {"training split": outputs(mixture, plain)}
    strong = replace(settings.augmentation, smallest_crop=0.2, color=0.6)
    for source, augmentation in {"augmented views": settings.augmentation, "strongly augmented views": strong}.items():
        inputs.settings = replace(settings, augmentation=augmentation)
        draws = EpochSamples(np.tile(np.arange(len(pictures)), VIEWS), 0, source)
        loader = load_batches(
            inputs.augmented(names, pictures), draws, runner.batch_size, runner.loader_workers(len(draws))
        )
        found[source] = outputs(mixture, runner.expert_outputs(mixture, loader))
    return found


def _variants(
    sources: dict[str, SavedOutputs], batches: SavedOutputs, settings: Settings, training: Training, counts: np.ndarray
) -> Iterator[dict[str, Any]]:
    halves = stratified_split(batches.labels.numpy(), 0.5, 0)
    for mixes in MIXES:
        for reads in READS:
            scorer = replace(settings.phase3, reads=reads, mixes=mixes)
            for source, given in sources.items():
                found, weight = _predictor(given, batches, scorer, training)
                yield _row(source, reads, mixes, weight) | accuracies(found, batches, counts)
            found, weights = torch.empty_like(batches.scores[:, 0]), []
            for learn, rest in (halves, halves[::-1]):
                found[rest], weight = _predictor(batches.subset(learn), batches.subset(rest), scorer, training)
                weights.append(weight)
            yield _row("held-back images", reads, mixes, float(np.mean(weights))) | accuracies(found, batches, counts)


def _row(source: str, reads: str, mixes: str, weight: float) -> dict[str, Any]:
    return {"row": f"scorer on {reads}, from the {source}, mixing {mixes}", "first_weight": weight}


def _predictor(
    given: SavedOutputs, batches: SavedOutputs, settings: ScorerSettings, training: Training
) -> tuple[torch.Tensor, float]:
    """Train a scorer on `given`; return its probabilities for `batches` and the mean weight of the first expert."""
    mixture: Any = ScorerOnly(given, settings)
    draws = (
        VIEWS * settings.epochs * len(training.inputs.cache)
    )  # the same for all, independent of the number of outputs
    epochs = max(1, round(draws / len(given.labels)))
    settings = replace(settings, epochs=epochs, warmup_epochs=settings.warmup_epochs * epochs / settings.epochs)
    draws = scorer_draws(given.labels.numpy(), replace(settings, views=0), 0)
    stage = scorer_phase(mixture, ScorerData(given.features, given.scores, given.labels, draws), settings, 0)
    train(stage, training.accelerator, NoRecorder(), 0, Position(stage.key), None)
    with torch.no_grad():
        weights = mixture.scorer(batches.features, batches.scores)
        return mixture.mix(batches.scores, weights), float(weights[:, 0].mean())


def class_loss(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Return the mean over classes of the mean −log p of the true class; probabilities, labels: (n,)."""
    losses = -np.log(np.maximum(probabilities, SMALLEST))
    return float(np.mean([losses[labels == label].mean() for label in np.unique(labels)]))


def read_class_loss(predictions: Path) -> float:
    """Return the class loss of a predictions.csv."""
    with predictions.open(encoding="utf-8", newline="") as file:
        rows = [(float(row["true_probability"]), row["true"]) for row in csv.DictReader(file)]
    probabilities, labels = zip(*rows, strict=True)
    return class_loss(np.array(probabilities), np.array(labels))


def accuracies(probabilities: torch.Tensor, batches: SavedOutputs, counts: np.ndarray) -> dict[str, Any]:
    """Return the shot accuracies and the class loss of probabilities (n, C)."""
    best, labels = probabilities.max(1), batches.labels.numpy()
    loss = class_loss(probabilities.gather(1, batches.labels[:, None])[:, 0].numpy(), labels)
    return shot_accuracy(best.indices.numpy(), best.values.numpy(), labels, counts) | {"class_loss": loss}
