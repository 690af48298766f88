"""The training of the experts of one fold: it resumes from checkpoints in RUN/cross_fitting/fold-N, like the run."""

import logging
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from lptpp.checkpoint.store import TUNED, Checkpoint, latest_checkpoint, load_tuned, write_checkpoint
from lptpp.config import Settings
from lptpp.models.mixture import Mixture
from lptpp.training.loop import Position
from lptpp.training.optim import optimizer_tensors
from lptpp.utils import exchange, processes
from lptpp.utils.errors import Interrupted
from lptpp.utils.progress import Bar

log = logging.getLogger("lptpp")
OPTIMIZER, OUTPUTS = "optimizer", "outputs"  # files of a checkpoint; a fold with outputs is finished
Tensors = dict[str, torch.Tensor]


class FoldCheckpoints:
    """The checkpoints of one fold; `run` identifies the run that they belong to."""

    def __init__(self, root: Path, run: str) -> None:
        self.root = root
        self.run = run
        self.last: Checkpoint | None = latest_checkpoint(root)
        if self.last is not None and self.last.manifest["run"] != run:
            log.info("%s is of another run: the fold starts again.", root)
            shutil.rmtree(root)
            self.last = None

    def outputs(self) -> Tensors | None:
        """Return the outputs of the finished fold, None before."""
        if self.last is None or f"{OUTPUTS}.safetensors" not in self.last.manifest["files"]:
            return None
        return self.last.tensors(OUTPUTS)

    def finish(self, outputs: Tensors) -> None:
        """Save the outputs in place of the experts."""
        self._write(0, {TUNED: {}, OUTPUTS: outputs}, {})

    def save(self, mixture: Mixture, position: Position, optimizer: torch.optim.Optimizer) -> None:
        """Save the experts in the middle of a stage."""
        tensors = {TUNED: mixture.tuned_state(), OPTIMIZER: optimizer_tensors(optimizer)}
        self._write(position.batch, tensors, {"position": position.saved()})

    def restore(self, mixture: Mixture, settings: Settings) -> tuple[Position, Tensors] | None:
        """Load the experts; return the position and the state of the optimizer, None without a checkpoint."""
        if self.last is None:
            return None
        load_tuned(mixture, self.last)
        position = Position.restored(self.last.manifest["position"])
        log.info("Resuming the fold from %s: %s.", self.last.folder, position.described(settings))
        return position, self.last.tensors(OPTIMIZER)

    def _write(self, steps: int, tensors: dict[str, Tensors], manifest: dict[str, Any]) -> None:
        if not processes.is_main():
            return
        step = steps + (0 if self.last is None else self.last.manifest["step"])
        self.last = write_checkpoint(self.root, step, tensors, {**manifest, "run": self.run}, 1)


class FoldRecorder:
    """Shows the progress of a stage of a fold, and saves it every `minutes` and when the user stops the run."""

    def __init__(
        self,
        checkpoints: FoldCheckpoints,
        mixture: Mixture,
        stopping: Callable[[], bool],
        minutes: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.checkpoints = checkpoints
        self.mixture = mixture
        self.stopping = stopping
        self.interval = 60 * minutes
        self.clock = clock  # seconds
        self.saved_at = clock()
        self.bar: Bar | None = None

    def step(self, position: Position, optimizer: torch.optim.Optimizer) -> None:
        """Count a step; save if it is time, and if the user asked to stop."""
        if self.bar is not None:
            self.bar.advance(note=f"loss {position.mean_loss():.3f}")
        stopping = exchange.any_of(self.stopping())
        if stopping:
            position.read()
        if not position.unread and (stopping or self.clock() - self.saved_at >= self.interval):
            self.checkpoints.save(self.mixture, position, optimizer)
            self.saved_at = self.clock()
        if stopping:
            exchange.barrier()  # as in RunRecorder
            raise Interrupted

    def epoch(self, position: Position, optimizer: torch.optim.Optimizer, summary: dict[str, float]) -> None:
        """Do nothing."""
