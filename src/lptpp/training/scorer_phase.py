"""Phase 3 of training: the scorer learns from the outputs of the frozen experts (docs/method.md).

It takes seconds once the outputs are there, so an interrupted phase 3 starts again from its beginning.
"""

import logging
from collections.abc import Iterable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from lptpp.config import ScorerSettings
from lptpp.config.stages import SCORER
from lptpp.data.split import stratified_split
from lptpp.models.mixture import Mixture
from lptpp.samplers import Sampler
from lptpp.training.loop import Batch, Stage
from lptpp.training.phases import optimization
from lptpp.utils.random import generator, key

log = logging.getLogger("lptpp")
MEASURED = 500_000  # drawn rows whose mean and deviation standardize the inputs, and that controls are fitted to
MOST_NUMBERS = 10**8  # in them: 0.4 GB


class ScorerDraws(NamedTuple):
    """Which rows of the expert outputs each epoch of phase 3 draws, and which ones select the epoch.

    With V views of each of n images, view v of image i is row v·n + i.
    """

    epochs: list[np.ndarray]  # (draws,) each, int32: with ten million images and two views, 80 MB
    check: np.ndarray  # (draws,), of images that no epoch draws; may be empty

    def taken(self) -> np.ndarray:
        """Return all rows that are drawn, each once, in ascending order."""
        used = np.zeros(1 + max(int(one.max()) for one in (*self.epochs, self.check) if len(one)), dtype=bool)
        for one in (*self.epochs, self.check):
            used[one] = True
        return np.flatnonzero(used)

    def within(self, taken: np.ndarray) -> "ScorerDraws":
        """Return the places of the rows in `taken`."""
        places = np.zeros(1 + int(taken.max()), dtype=self.epochs[0].dtype)
        places[taken] = np.arange(len(taken))
        return ScorerDraws([places[one] for one in self.epochs], places[self.check])


def scorer_draws(
    labels: np.ndarray, settings: ScorerSettings, seed: int, usable: np.ndarray | None = None
) -> ScorerDraws:
    """Return the rows that phase 3 draws from the outputs for n images with `labels` (n,).

    usable: (m,) indices of the images that may be drawn; all by default. A fraction `settings.check` of every class
    selects the epoch; the epochs draw from the others.
    """
    images = np.arange(len(labels)) if usable is None else usable
    kept, checked = stratified_split(labels[images], settings.check, seed)
    views = np.concatenate([view * len(labels) + images[kept] for view in range(max(1, settings.views))])
    epochs = [_drawn(views, labels, settings.sampler, seed, epoch) for epoch in range(settings.epochs)]
    return ScorerDraws(epochs, _drawn(images[checked], labels, settings.sampler, seed, "check"))


def _drawn(rows: np.ndarray, labels: np.ndarray, sampler: str, seed: int, name: int | str) -> np.ndarray:
    if not len(rows):
        return rows
    of_rows = labels[rows % len(labels)]
    order = Sampler(of_rows, int(of_rows.max()) + 1, sampler).order(generator(seed, str(SCORER), name))
    return rows[order].astype(np.int32 if rows.max() < 2**31 else np.int64)


class ScorerRows(NamedTuple):
    """The outputs of E experts for n rows.

    If the scorer reads features and mixes probabilities, the loss needs only the confidence scores of the true class:
    then C' is 1 and the targets are 0. Otherwise C' is C and the targets are the labels.
    """

    features: Sequence[torch.Tensor]  # of each expert, unit length, (n, F_e)
    confidences: torch.Tensor  # (n, E, C')
    targets: torch.Tensor  # (n,)


@dataclass(frozen=True)
class ScorerData:
    """What the scorer learns from: the expert outputs, as in `ScorerRows`, and which of their rows phase 3 draws."""

    features: Sequence[torch.Tensor]
    confidences: torch.Tensor
    targets: torch.Tensor
    draws: ScorerDraws

    def batch(self, rows: torch.Tensor) -> Batch:
        """Return the inputs of the task, (B, ΣF_e + E·C'), and the targets of some rows."""
        inputs = [*(feature[rows].float() for feature in self.features), self.confidences[rows].float().flatten(1)]
        return Batch(torch.cat(inputs, dim=1), self.targets[rows], lambda: ["expert outputs"])

    def measured(self) -> int:
        """Return how many rows standardize the inputs."""
        width = sum(feature.shape[1] for feature in self.features) + self.confidences[:1].numel()
        return min(MEASURED, max(1, MOST_NUMBERS // width))


def of_true_classes(rows: ScorerRows) -> ScorerRows:
    """Return the rows with the confidence scores of the true class alone."""
    if rows.confidences.shape[2] == 1:
        return rows
    labels = rows.targets[:, None, None].expand(-1, rows.confidences.shape[1], 1)
    return ScorerRows(rows.features, rows.confidences.gather(2, labels), torch.zeros_like(rows.targets))


def scorer_data(parts: Sequence[ScorerRows], taken: Sequence[np.ndarray], draws: ScorerDraws) -> ScorerData:
    """Return the data of the scorer from parts with the rows `taken` each, which together are those of `draws`."""
    if len(parts) == 1 and (np.diff(taken[0]) > 0).all():
        return ScorerData(*parts[0], draws.within(taken[0]))  # not copied: it may be larger than the memory
    rows = np.concatenate(taken)
    order = torch.from_numpy(np.argsort(rows))
    features = [torch.cat(one)[order] for one in zip(*(part.features for part in parts), strict=True)]
    confidences, targets = (
        torch.cat([getattr(part, key) for part in parts])[order] for key in ("confidences", "targets")
    )
    return ScorerData(features, confidences, targets, draws.within(np.sort(rows)))


def scorer_phase(mixture: Mixture, data: ScorerData, settings: ScorerSettings, seed: int) -> Stage:
    """Phase 3: train the scorer on the outputs of the frozen experts, computed once."""
    assert mixture.scorer is not None
    task = ScorerTask(mixture, [feature.shape[1] for feature in data.features])
    choice = EpochChoice(mixture.scorer, task, data, settings)
    return Stage(
        key=SCORER,
        task=task,
        parameters=list(mixture.scorer.parameters()),
        optimization=optimization(settings, -(-len(data.draws.epochs[0]) // settings.batch_size)),
        epochs=settings.epochs,
        batches=partial(_batches, data, settings.batch_size),
        begin=partial(_begin, mixture, data, seed, choice),
        after_epoch=choice.after_epoch,
    )


def _begin(mixture: Mixture, data: ScorerData, seed: int, choice: "EpochChoice") -> None:
    assert mixture.scorer is not None and mixture.controls is not None
    torch.manual_seed(key(seed, "start", "scorer"))
    mixture.scorer.reset()
    rows = torch.from_numpy(data.draws.epochs[0][: data.measured()]).long()
    device = mixture.scorer.last.weight.device
    confidences = data.confidences[rows].to(device).float()
    mixture.scorer.standardize([one[rows].to(device).float() for one in data.features], confidences)
    mixture.controls.fit(confidences, data.targets[rows].to(device), mixture.mix)
    choice.begin()


class ScorerTask(nn.Module):
    """Cross-entropy of the mixture: −log Σ_e w_e p_e[y] if it mixes probabilities."""

    def __init__(self, mixture: Mixture, widths: Sequence[int]) -> None:
        super().__init__()
        assert mixture.scorer is not None
        self.scorer, self.mix = mixture.scorer, mixture.mix
        self.widths = list(widths)

    def forward(self, inputs: torch.Tensor, targets: torch.Tensor, epoch: int, stream: int = 0) -> torch.Tensor:
        """Return the loss of inputs (B, ΣF_e + E·C'): features, then confidence scores."""
        *features, flat = inputs.split([*self.widths, inputs.shape[1] - sum(self.widths)], dim=1)
        confidences = flat.unflatten(1, (len(self.widths), -1))  # (B, E, C')
        mixed = self.mix(confidences, self.scorer(features, confidences))  # (B, C')
        return -mixed.gather(1, targets[:, None]).clamp(min=1e-6).log().mean()


class EpochChoice:
    """Early stopping against the plain average: the scorer of the epoch with the lowest loss on the check images.

    Epoch 0 is the plain average. Without check images, the last epoch is kept.
    """

    def __init__(self, scorer: nn.Module, task: ScorerTask, data: ScorerData, settings: ScorerSettings) -> None:
        self.scorer, self.task, self.data = scorer, task, data
        self.epochs = settings.epochs
        self.rows = torch.from_numpy(data.draws.check).long()
        self.losses: list[float] = []  # of epoch 0, 1, …
        self.best: dict[str, torch.Tensor] = {}

    def begin(self) -> None:
        """Measure the plain average."""
        self.losses = []
        self.after_epoch(0)

    @torch.no_grad()
    def after_epoch(self, epoch: int) -> None:
        """Measure the scorer after an epoch; after the last one, return to the best."""
        if not len(self.rows):
            return
        device = next(self.scorer.parameters()).device
        batch = self.data.batch(self.rows).on(device)
        self.losses.append(float(self.task(batch.inputs, batch.labels, epoch)))
        if self.losses[-1] == min(self.losses) and self.losses.count(self.losses[-1]) == 1:
            self.best = deepcopy(self.scorer.state_dict())
        if epoch == self.epochs:
            self.scorer.load_state_dict(self.best)
            log.info(*self.summary())

    def summary(self) -> tuple[str, int, float, float]:
        """Return the arguments of a log message about the choice."""
        best = int(np.argmin(self.losses))
        text = "scorer: epoch %d is best on images kept apart (loss %.4f; plain average: %.4f)"
        return text + ("; the plain average is kept" if not best else ""), best, self.losses[best], self.losses[0]


def _batches(data: ScorerData, size: int, epoch: int, first: int) -> Iterable[Batch]:
    for rows in torch.from_numpy(data.draws.epochs[epoch]).split(size)[first:]:
        yield data.batch(rows.long())
