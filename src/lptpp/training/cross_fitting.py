"""Cross-fitting: outputs of experts for images that they were not trained on, from all training images.

The images are divided into k folds, class by class. For each fold, experts like those of the run are trained on the
other folds, and their outputs on this fold become the data of the scorer: so it sees experts as they are on new images
(Chernozhukov et al. 2018, arXiv 1608.00060). The only image of a class is in no fold.

Finished folds are kept in the run folder until the end of training; an interrupted one resumes (`lptpp.training.fold`).
"""

import shutil
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator

from lptpp.checkpoint.identity import run_digest
from lptpp.config import Settings
from lptpp.config.stages import SCORER
from lptpp.data.split import members_by_class
from lptpp.models.build import fresh_expert
from lptpp.models.expert import Expert
from lptpp.models.mixture import Mixture
from lptpp.training.fold import FoldCheckpoints, FoldRecorder
from lptpp.training.inputs import OUTPUTS, TrainingInputs
from lptpp.training.loop import Position, train
from lptpp.training.phases import start_head
from lptpp.training.scorer_phase import ScorerData, ScorerRows, of_true_classes, scorer_data
from lptpp.utils import exchange, processes
from lptpp.utils.progress import progress_bar
from lptpp.utils.random import generator

FOLDER = "cross_fitting"


def fold_of(labels: np.ndarray, folds: int, seed: int) -> np.ndarray:
    """Return the fold of every image, (n,) from 0 to folds - 1; -1 for the only image of a class.

    The images of a class are dealt out in random order, so no fold has all of them.
    """
    found = np.full(len(labels), -1)
    for label, members in members_by_class(labels):
        members = generator(seed, "folds", label).permutation(members)
        if len(members) > 1:
            found[members] = (np.arange(len(members)) + label) % folds
    return found


class CrossFitting:
    """Trains the experts of each fold and collects their outputs; `stopping` returns whether the user asked to stop."""

    def __init__(
        self,
        settings: Settings,
        inputs: TrainingInputs,
        accelerator: Accelerator,
        stopping: Callable[[], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.settings = settings
        self.inputs = inputs
        self.accelerator = accelerator
        self.stopping = stopping
        self.clock = clock
        self.folder = Path(settings.run) / FOLDER
        self.frozen: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}

    def data(self) -> ScorerData | None:
        """Return what the scorer learns from; None except in the main process.

        Raises:
            Interrupted: the user stopped the run; everything is saved.
        """
        self._run = run_digest(self.settings, self.inputs.mixture, self.inputs.collection)
        labels = self.inputs.scorer_cache.split.labels
        folds = fold_of(labels, self.settings.phase3.folds, self.settings.seed)
        draws = self.inputs.scorer_draws(np.flatnonzero(folds >= 0))
        of_taken = folds[draws.taken() % len(labels)]
        taken = {fold: draws.taken()[of_taken == fold] for fold in np.unique(of_taken).tolist()}
        for fold, rows in taken.items():
            self._compute(fold, folds, rows)
        if not processes.is_main():
            return None
        parts = [self._outputs(fold) for fold in taken]
        if len({part.confidences.shape[2] for part in parts}) > 1:  # evaluation.controls has changed in between
            parts = [of_true_classes(part) for part in parts]
        return scorer_data(parts, list(taken.values()), draws)

    def remove(self) -> None:
        """Delete the files of the folds."""
        if processes.is_main():
            shutil.rmtree(self.folder, ignore_errors=True)

    def _compute(self, fold: int, folds: np.ndarray, taken: np.ndarray) -> None:
        """Train and write what the scorer learns from a fold, if it is not there."""
        with exchange.main_first():  # which removes the fold of another run
            checkpoints = self._checkpoints(fold)
        if exchange.from_main(checkpoints.outputs() is not None):
            return
        mixture = self._trained(fold, np.flatnonzero(folds != fold), checkpoints)
        rows = self.inputs.scorer_outputs(mixture, taken, f"{OUTPUTS}, {self._place(fold)}")
        if rows is not None:
            names = self.inputs.mixture.experts
            features = {f"features.{name}": one for name, one in zip(names, rows.features, strict=True)}
            checkpoints.finish({**features, "confidences": rows.confidences, "targets": rows.targets})

    def _checkpoints(self, fold: int) -> FoldCheckpoints:
        return FoldCheckpoints(self.folder / f"fold-{fold}", self._run)

    def _place(self, fold: int) -> str:
        return f"fold {fold + 1} of {self.settings.phase3.folds}"

    def _outputs(self, fold: int) -> ScorerRows:
        found = self._checkpoints(fold).outputs()
        assert found is not None
        features = [found[f"features.{name}"] for name in self.inputs.mixture.experts]
        return ScorerRows(features, found["confidences"], found["targets"])

    def _trained(self, fold: int, kept: np.ndarray, checkpoints: FoldCheckpoints) -> Mixture:
        """Return experts that are trained on the images at `kept`."""
        mixture = self._fresh()
        restored = checkpoints.restore(mixture, self.settings)
        stages = [key for key in mixture.stages() if key != SCORER]
        position, optimizer_state = restored or (Position(stages[0]), None)
        if restored is None:
            self._start(mixture, kept)
        recorder = FoldRecorder(checkpoints, mixture, self.stopping, self.settings.checkpoint_minutes, self.clock)
        for key in stages[stages.index(position.stage) :]:
            at = position if key == position.stage else Position(key)
            stage = self.inputs.expert_stage(key, mixture.experts[key.owner], kept)
            description = f"Phase 3: {key}, {self._place(fold)}"
            done = at.epoch * (stage.optimization.steps // stage.epochs) + at.batch
            with progress_bar(description, stage.optimization.steps, done, "steps") as recorder.bar:
                train(stage, self.accelerator, recorder, self.settings.seed, at, optimizer_state)
            optimizer_state = None
        return mixture

    def _start(self, mixture: Mixture, kept: np.ndarray) -> None:
        classes = self.inputs.collection.class_names
        for name, expert in mixture.experts.items():
            start_head(expert, self.settings.experts[name], partial(self._frozen, name, kept), classes)

    def _fresh(self) -> Mixture:
        """Return untrained experts on the frozen backbones of the run."""
        scorer, experts = self.settings.phase3, dict[str, Expert]()
        for name, expert in self.inputs.mixture.experts.items():
            experts[name] = fresh_expert(expert, self.settings.experts[name], self.settings.seed, name)
        mixture = Mixture(experts, scorer.hidden, scorer.reads, scorer.mixes)
        return mixture.to(self.accelerator.device)

    def _frozen(self, name: str, kept: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        if name not in self.frozen:
            self.frozen[name] = self.inputs.frozen(name)()
        features, labels = self.frozen[name]
        used = torch.from_numpy(np.isin(self.inputs.averaged(name), kept))
        return features[used], labels[used]
