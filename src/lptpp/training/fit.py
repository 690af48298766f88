"""A whole run: data, experts, three phases, tables, report; goes on by itself from what its folder holds."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F

from lptpp.checkpoint.identity import check_backbones, check_same_run, identity, stage_names
from lptpp.checkpoint.store import Checkpoint, latest_checkpoint, load_tuned
from lptpp.config import Settings, to_yaml
from lptpp.data.augment import Augmentation
from lptpp.data.cache import Pictures
from lptpp.data.dataset import Collection, Split
from lptpp.data.loader import Draw, Draws, Views
from lptpp.data.prepare import checked, collection_of
from lptpp.data.split import stratified_part
from lptpp.data.transforms import BatchTransform
from lptpp.evaluation.run import evaluated, write_evaluation
from lptpp.inference.runtime import evaluation_views, make_accelerator, runner_of, runner_on
from lptpp.models.build import build_mixture
from lptpp.models.mixture import Mixture
from lptpp.training.cached_views import CachedViews, stem_maps
from lptpp.training.loop import Position, Stage, clocks, train
from lptpp.training.phases import (
    ScorerData,
    TrainingData,
    group_phase,
    scorer_orders,
    scorer_phase,
    shared_phase,
    start_head,
)
from lptpp.training.recorder import RunRecorder, stopping_softly
from lptpp.training.trackers import check_tracker
from lptpp.training.validation import Validation
from lptpp.utils.errors import UserError

log = logging.getLogger("lptpp")


class Fitted(NamedTuple):
    """What `fit` returns."""

    metrics: dict[str, Any]  # as in metrics.json
    collection: Collection
    trained: bool  # False where the run was finished and evaluated before


def fit(settings: Settings) -> Fitted:
    """Train all phases, from the start or from the run folder's checkpoint; write and return the metrics.

    Raises `UserError` for whatever a user can mend, `Interrupted` after saving where the user stopped the run.
    """
    check_tracker(settings.tracker)
    folder = Path(settings.run)
    checkpoint = latest_checkpoint(folder / "checkpoint")
    collection = checked(collection_of(settings), settings, folder / "skipped.csv")
    mixture = build_mixture(settings, len(collection.class_names))
    if checkpoint is not None:
        check_same_run(checkpoint.manifest, identity(settings, mixture, collection), folder)
        check_backbones(checkpoint.manifest, mixture, folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.yaml").write_text(to_yaml(settings), encoding="utf-8")
    if checkpoint is not None and checkpoint.manifest["finished"] and (metrics := evaluated(settings)) is not None:
        log.info("%s is finished: nothing is left to train.", folder)
        return Fitted(metrics, collection, trained=False)
    with logging_to(folder / "log.txt"):
        training = Training(settings, collection, mixture, checkpoint)
        with training.recorder.tracking as tracking:
            training.run()
            metrics = write_evaluation(settings, mixture, collection, runner_of(settings))
            tracking.result(metrics)
    return Fitted(metrics, collection, trained=True)


@contextmanager
def logging_to(path: Path) -> Iterator[None]:
    """Write what the package logs into a file too."""
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)
        handler.close()


class Training:
    """The stages of a run, in order, from wherever the checkpoint stands."""

    def __init__(
        self, settings: Settings, collection: Collection, mixture: Mixture, checkpoint: Checkpoint | None
    ) -> None:
        self.settings = settings
        self.collection = collection
        self.mixture = mixture
        self.checkpoint = checkpoint
        self.accelerator = make_accelerator(settings.device, settings.precision)
        self.runner = runner_on(settings, self.accelerator)
        memory = int(settings.data.memory_gb * 2**30)
        self.pictures, self.scorer_pictures = (
            Pictures(part, memory) for part in held_back(collection.train, settings.phase3.held_back, settings.seed)
        )
        self.maps: dict[str, torch.Tensor] = {}  # of each expert's cached views
        self.recorder = RunRecorder(settings, mixture, collection, checkpoint)
        if settings.evaluation.each_epoch:
            self.recorder.measure = Validation(mixture, collection, memory, self.runner)

    def run(self) -> None:
        """Train what is not trained yet."""
        names = stage_names(self.mixture)
        position = self._restore() if self.checkpoint is not None else self._start(names[0])
        optimizer_state = None if self.checkpoint is None else self.checkpoint.tensors("optimizer")
        with stopping_softly(self.recorder):
            for name in names[names.index(position.stage) :]:
                at = position if name == position.stage else Position(name)
                self._run_stage(name, at, optimizer_state if name == position.stage else None)

    def _start(self, first: str) -> Position:
        for name, expert in self.mixture.experts.items():
            expert.to(self.accelerator.device)
            settings = self.settings.experts[name]
            start_head(name, expert, settings, self.pictures, self.collection.class_names, self.runner)
        return Position(first)

    def _restore(self) -> Position:
        assert self.checkpoint is not None
        load_tuned(self.mixture, self.checkpoint)
        position = Position(**self.checkpoint.manifest["position"])
        log.info("Going on from %s: %s, epoch %d.", self.checkpoint.folder, position.stage, position.epoch + 1)
        return position

    def _run_stage(self, name: str, position: Position, optimizer_state: dict[str, torch.Tensor] | None) -> None:
        epochs = getattr(self.settings, name.split("/")[1]).epochs
        if position.epoch >= epochs:
            return
        began = clocks()
        stage = replace(self._stage(name), began=began)
        with self.recorder.watching(stage, position):
            train(stage, self.accelerator, self.recorder, self.settings.seed, position, optimizer_state)

    def _stage(self, name: str) -> Stage:
        owner, phase = name.split("/")
        if phase == "phase3":
            return scorer_phase(self.mixture, self._scorer_data(), self.settings.phase3)
        make, settings = (
            (shared_phase, self.settings.phase1) if phase == "phase1" else (group_phase, self.settings.phase2)
        )
        factor = self.settings.experts[owner].learning_rate_factor
        return make(owner, self.mixture.experts[owner], self._training_data(owner), settings, factor)

    def _training_data(self, name: str) -> TrainingData:
        counts = self.pictures.split.counts(len(self.collection.class_names))
        views = self._cached([name]) if self.settings.augmentation.cached_views else self._views([name], self.pictures)
        return TrainingData(views, torch.from_numpy(counts), self.settings.seed, self.settings.workers)

    def _cached(self, names: list[str]) -> Views:
        """Return the cached views of experts, computing those that are not there yet."""
        settings, memory = self.settings, int(self.settings.data.memory_gb * 2**30)
        number = settings.augmentation.cached_views
        for name in names:
            if name not in self.maps:
                expert = self.mixture.experts[name].to(self.accelerator.device)
                views = self._views([name], self.pictures)
                self.maps[name] = stem_maps(name, expert, views, number, settings.seed, memory, self.runner)
        return CachedViews(self._views(names, self.pictures), number, {name: self.maps[name] for name in names})

    def _views(self, names: list[str], pictures: Pictures) -> Views:
        augmentation = self.settings.augmentation
        transforms: dict[str, BatchTransform] = {
            name: Augmentation(
                self.mixture.experts[name].backbone.preprocessing,
                augmentation.smallest_crop,
                augmentation.flip,
                augmentation.color,
            )
            for name in names
        }
        return Views(pictures, pictures.split.labels, transforms)

    @torch.no_grad()
    def _scorer_data(self) -> ScorerData:
        views, draws, orders = self._scorer_draws()
        whole = (self.settings.phase3.reads, self.settings.phase3.mixes) != ("features", "probabilities")
        features, confidences, targets = [], [], []
        for expert_outputs, labels, _ in self.runner.expert_outputs(self.mixture, views, draws, "Experts' outputs"):
            scores = self.mixture.confidences(expert_outputs)  # (B, E, C)
            of_truth = labels.to(scores.device)[:, None, None].expand(-1, len(expert_outputs), 1)
            confidences.append((scores if whole else scores.gather(2, of_truth)).cpu())
            features.append([F.normalize(one.feature.float(), dim=-1).cpu() for one in expert_outputs.values()])
            targets.append(labels if whole else torch.zeros_like(labels))
        joined = [torch.cat(parts) for parts in zip(*features, strict=True)]
        return ScorerData(joined, torch.cat(confidences), torch.cat(targets), orders)

    def _scorer_draws(self) -> tuple[Views, Sequence[Draw], list[np.ndarray]]:
        """Return the views that phase 3 takes at all, each once, and which of them each of its epochs takes.

        Class-balanced epochs leave out many pictures of the largest classes: nobody needs to look at those.
        """
        pictures, settings, seed = self.scorer_pictures, self.settings.phase3, self.settings.seed
        images = np.tile(np.arange(len(pictures)), max(1, settings.views))
        orders = scorer_orders(pictures.split.labels[images], settings, seed)
        taken = np.unique(np.concatenate(orders))
        orders = [np.searchsorted(taken, order) for order in orders]
        if not settings.views:
            return evaluation_views(self.mixture, pictures), [(index, 0) for index in taken.tolist()], orders
        draws = Draws(images, seed, "mixture/phase3", "views").at(taken)
        if self.settings.augmentation.cached_views and not settings.held_back:
            return self._cached(list(self.mixture.experts)), draws, orders
        return self._views(list(self.mixture.experts), pictures), draws, orders


def held_back(train: Split, share: float, seed: int) -> tuple[Split, Split]:
    """Return the part that the experts learn from and the part that the scorer learns from; the same for a share of 0.

    Raises `UserError` where the share of every class rounds to no image.
    """
    if not share:
        return train, train
    kept, drawn = stratified_part(train.labels, share, seed)
    if not len(drawn):
        raise UserError(f"phase3.held_back={share}: no class has images enough to hold one back, use 0.")
    return train.subset(kept), train.subset(drawn)
