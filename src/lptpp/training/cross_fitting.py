"""Cross-fitting: outputs of experts for images that they were not trained on, from all training images.

The images are divided into k folds, class by class. For each fold, experts like those of the run are trained on the
other folds, and their outputs on this fold become the data of the scorer: so it sees experts as they are on new images
(Chernozhukov et al. 2018, arXiv 1608.00060). The only image of a class is in no fold.

Finished folds are kept in the run folder until the end of training; an interrupted fold starts again.
"""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from safetensors.torch import load_file, save

from lptpp.config import Settings
from lptpp.config.stages import StageKey
from lptpp.models.build import fresh_expert
from lptpp.models.expert import Expert
from lptpp.models.mixture import Mixture
from lptpp.training.inputs import TrainingInputs
from lptpp.training.loop import Position, train
from lptpp.training.phases import start_head
from lptpp.training.scorer_phase import ScorerData, ScorerRows, scorer_data
from lptpp.utils import exchange, processes
from lptpp.utils.errors import Interrupted
from lptpp.utils.io import atomic_write
from lptpp.utils.progress import Bar, progress_bar
from lptpp.utils.random import generator

FOLDER = "cross_fitting"


def fold_of(labels: np.ndarray, folds: int, seed: int) -> np.ndarray:
    """Return the fold of every image, (n,) from 0 to folds - 1; -1 for the only image of a class.

    The images of a class are dealt out in random order, so no fold has all of them.
    """
    found = np.full(len(labels), -1)
    for label in np.unique(labels):
        members = generator(seed, "folds", int(label)).permutation(np.flatnonzero(labels == label))
        if len(members) > 1:
            found[members] = (np.arange(len(members)) + label) % folds
    return found


class CrossFitting:
    """Trains the experts of each fold and collects their outputs; `stopping` returns whether the user asked to stop."""

    def __init__(
        self, settings: Settings, inputs: TrainingInputs, accelerator: Accelerator, stopping: Callable[[], bool]
    ) -> None:
        self.settings = settings
        self.inputs = inputs
        self.accelerator = accelerator
        self.stopping = stopping
        self.folder = Path(settings.run) / FOLDER
        self.frozen: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}

    def data(self) -> ScorerData | None:
        """Return what the scorer learns from; None except in the main process.

        Raises:
            Interrupted: the user stopped the run; finished folds are kept.
        """
        labels = self.inputs.scorer_cache.split.labels
        folds = fold_of(labels, self.settings.phase3.folds, self.settings.seed)
        draws = self.inputs.scorer_draws(np.flatnonzero(folds >= 0))
        of_taken = folds[draws.taken() % len(labels)]
        taken = {fold: draws.taken()[of_taken == fold] for fold in np.unique(of_taken).tolist()}
        for fold, rows in taken.items():
            self._compute(fold, folds, rows)
        if not processes.is_main():
            return None
        return scorer_data([self._outputs(fold) for fold in taken], list(taken.values()), draws)

    def remove(self) -> None:
        """Delete the files of the folds."""
        if processes.is_main():
            shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, fold: int) -> Path:
        return self.folder / f"fold-{fold}.safetensors"

    def _compute(self, fold: int, folds: np.ndarray, taken: np.ndarray) -> None:
        """Write the file of a fold if it does not exist."""
        if exchange.from_main(self._path(fold).is_file()):
            return
        rows = self.inputs.scorer_outputs(self._mixture(fold, np.flatnonzero(folds != fold)), taken)
        if rows is not None:
            self._save(self._path(fold), rows)

    def _outputs(self, fold: int) -> ScorerRows:
        found = load_file(self._path(fold))
        features = [found[f"features.{name}"] for name in self.inputs.mixture.experts]
        return ScorerRows(features, found["confidences"], found["targets"])

    def _save(self, path: Path, rows: ScorerRows) -> None:
        features = {
            f"features.{name}": one for name, one in zip(self.inputs.mixture.experts, rows.features, strict=True)
        }
        self.folder.mkdir(exist_ok=True)
        with atomic_write(path, "wb") as file:
            file.write(save({**features, "confidences": rows.confidences, "targets": rows.targets}))

    def _mixture(self, fold: int, kept: np.ndarray) -> Mixture:
        """Return experts that are trained on the images at `kept`."""
        experts = {name: self._expert(name, fold, kept) for name in self.inputs.mixture.experts}
        scorer = self.settings.phase3
        return Mixture(experts, scorer.hidden, scorer.reads, scorer.mixes)

    def _expert(self, name: str, fold: int, kept: np.ndarray) -> Expert:
        settings, classes = self.settings.experts[name], self.inputs.collection.class_names
        expert = fresh_expert(self.inputs.mixture.experts[name], settings, self.settings.seed, name)
        expert.to(self.accelerator.device)
        start_head(expert, settings, lambda: self._frozen(name, kept), classes)
        for phase in range(1, 1 + len(expert.heads)):
            stage = self.inputs.expert_stage(StageKey(name, phase), expert, kept)
            with progress_bar(
                f"fold {fold + 1} of {self.settings.phase3.folds}, {stage.key}", stage.optimization.steps
            ) as bar:
                train(
                    stage,
                    self.accelerator,
                    FoldRecorder(bar, self.stopping),
                    self.settings.seed,
                    Position(stage.key),
                    None,
                )
        return expert

    def _frozen(self, name: str, kept: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        if name not in self.frozen:
            self.frozen[name] = self.inputs.frozen(name)()
        features, labels = self.frozen[name]
        return features[kept], labels[kept]


class FoldRecorder:
    """Shows the progress of a fold and stops it on request; nothing is saved within a fold."""

    def __init__(self, bar: Bar, stopping: Callable[[], bool]) -> None:
        self.bar = bar
        self.stopping = stopping

    def step(self, position: Position, optimizer: torch.optim.Optimizer) -> None:
        """Count a step."""
        self.bar.advance(note=f"loss {position.loss_sum / position.batch:.3f}")
        if exchange.any_of(self.stopping()):
            raise Interrupted

    def epoch(self, position: Position, optimizer: torch.optim.Optimizer, summary: dict[str, float]) -> None:
        """Do nothing."""
