"""A whole run: data, experts, three phases, tables; goes on by itself from what its folder holds."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from accelerate import Accelerator

from lptpp.build import build_mixture
from lptpp.config import Settings, to_yaml
from lptpp.data.collection import Collection
from lptpp.data.loader import Views
from lptpp.data.pictures import Pictures
from lptpp.data.transforms import training_transform
from lptpp.evaluation.report import evaluated, write_evaluation
from lptpp.mixture import Mixture
from lptpp.outputs import Runner
from lptpp.prepare import checked, collection_of
from lptpp.randomness import key
from lptpp.training.checkpoint import Checkpoint, latest_checkpoint
from lptpp.training.device import make_accelerator
from lptpp.training.heads import start_head
from lptpp.training.loop import Position, Stage, train
from lptpp.training.phases import ScorerData, TrainingData, group_phase, scorer_phase, shared_phase
from lptpp.training.recorder import (
    RunRecorder,
    check_backbones,
    check_same_run,
    identity,
    stage_names,
    stopping_softly,
)
from lptpp.training.state import load_tuned

log = logging.getLogger("lptpp")


def fit(settings: Settings) -> dict[str, Any]:
    """Train all phases, from the start or from the run folder's checkpoint; write and return the metrics.

    Raises `UserError` for whatever a user can mend, `Interrupted` after saving where the user stopped the run.
    """
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
        return metrics
    with logging_to(folder / "log.txt"):
        Training(settings, collection, mixture, checkpoint).run()
    return write_evaluation(settings, mixture, collection, runner_of(settings))


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


def runner_of(settings: Settings) -> Runner:
    """Return the runner of frozen models that the settings ask for."""
    return _runner(settings, make_accelerator(settings.device, settings.precision))


def _runner(settings: Settings, accelerator: Accelerator) -> Runner:
    return Runner(accelerator.device, accelerator.autocast, settings.evaluation.batch_size, settings.workers)


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
        self.runner = _runner(settings, self.accelerator)
        self.pictures = Pictures(collection.train, int(settings.data.memory_gb * 2**30))
        self.recorder = RunRecorder(settings, mixture, collection, checkpoint)

    def run(self) -> None:
        """Train what is not trained yet."""
        names = stage_names(self.mixture)
        position = self._restore() if self.checkpoint is not None else self._start(names[0])
        optimiser_state = None if self.checkpoint is None else self.checkpoint.tensors("optimiser")
        with stopping_softly(self.recorder):
            for name in names[names.index(position.stage) :]:
                at = position if name == position.stage else Position(name)
                self._run_stage(name, at, optimiser_state if name == position.stage else None)

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

    def _run_stage(self, name: str, position: Position, optimiser_state: dict[str, torch.Tensor] | None) -> None:
        epochs = getattr(self.settings, name.split("/")[1]).epochs
        if position.epoch >= epochs:
            return
        stage = self._stage(name)
        with self.recorder.watching(stage, position):
            train(stage, self.accelerator, self.recorder, self.settings.seed, position, optimiser_state)

    def _stage(self, name: str) -> Stage:
        owner, phase = name.split("/")
        if phase == "phase3":
            return scorer_phase(self.mixture, self._scorer_data(), self.settings.phase3, self.settings.seed)
        make, settings = (
            (shared_phase, self.settings.phase1) if phase == "phase1" else (group_phase, self.settings.phase2)
        )
        factor = self.settings.experts[owner].learning_rate_factor
        return make(owner, self.mixture.experts[owner], self._training_data(owner), settings, factor)

    def _training_data(self, name: str) -> TrainingData:
        counts = self.collection.train.counts(len(self.collection.class_names))
        return TrainingData(self._views([name]), torch.from_numpy(counts), self.settings.seed, self.settings.workers)

    def _views(self, names: list[str]) -> Views:
        augmentation = self.settings.augmentation
        transforms = {
            name: training_transform(
                self.mixture.experts[name].backbone.preprocessing,
                augmentation.smallest_crop,
                augmentation.flip,
                augmentation.colour,
            )
            for name in names
        }
        return Views(self.pictures, self.collection.train.labels, transforms)

    @torch.no_grad()
    def _scorer_data(self) -> ScorerData:
        seed, views = self.settings.seed, self._views(list(self.mixture.experts))
        draws = [
            (index, key(seed, "mixture/phase3", "view", view, index))
            for view in range(self.settings.phase3.views)
            for index in range(len(self.pictures))
        ]
        features, confidences, all_labels = [], [], []
        for said, labels, _ in self.runner.judgements(self.mixture, views, draws, "Experts' outputs"):
            of_truth = labels.to(self.accelerator.device)[:, None, None].expand(-1, len(said), 1)
            confidences.append(self.mixture.confidences(said).gather(2, of_truth).squeeze(2).cpu())  # (B, E)
            features.append([F.normalize(one.feature.float(), dim=-1).cpu() for one in said.values()])
            all_labels.append(labels)
        joined = [torch.cat(parts) for parts in zip(*features, strict=True)]
        return ScorerData(joined, torch.cat(confidences), torch.cat(all_labels))
