"""What a run folder remembers while training goes on: checkpoints, history, progress, and the wish to stop."""

import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from lptpp.checkpoint.identity import identity, stage_names
from lptpp.checkpoint.store import Checkpoint, write_checkpoint
from lptpp.config import Settings
from lptpp.data.dataset import Collection
from lptpp.models.mixture import Mixture
from lptpp.training.history import Tracking
from lptpp.training.loop import Position, Stage
from lptpp.training.optim import optimizer_tensors
from lptpp.utils.errors import Interrupted
from lptpp.utils.io import write_csv
from lptpp.utils.progress import Bar, progress_bar

log = logging.getLogger("lptpp")


class RunRecorder:
    """Writes a checkpoint after every epoch and when asked to stop."""

    def __init__(
        self, settings: Settings, mixture: Mixture, collection: Collection, checkpoint: Checkpoint | None
    ) -> None:
        self.folder = Path(settings.run)
        self.mixture = mixture
        self.identity = identity(settings, mixture, collection)
        self.history: list[dict[str, Any]] = [] if checkpoint is None else list(checkpoint.manifest["history"])
        self.steps = 0 if checkpoint is None else checkpoint.manifest["step"]
        self.last_stage = stage_names(mixture)[-1]
        self.tracking = Tracking(settings, stage_names(mixture), checkpoint)
        self.measure: Callable[[str], dict[str, Any]] = lambda stage: {}  # after an epoch, beside the loss
        self.stop_asked = False
        self.bar: Bar | None = None
        self.epochs = 0

    @contextmanager
    def watching(self, stage: Stage, position: Position) -> Iterator[None]:
        """Show the progress of a stage."""
        self.epochs = stage.epochs
        self.tracking.begin(stage, position)
        steps = stage.optimization.steps
        done = position.epoch * (steps // stage.epochs) + position.batch
        with progress_bar(stage.name, steps, done) as self.bar:
            yield

    def step(self, position: Position, optimizer: torch.optim.Optimizer) -> None:
        """Count a step; raise `Interrupted` after saving where the user asked to stop."""
        self.steps += 1
        self.tracking.after_step(position, optimizer.param_groups[0]["lr"])
        if self.bar is not None:
            self.bar.advance(note=f"loss {position.loss_sum / position.batch:.3f}")
        if self.stop_asked:
            self._save(position, optimizer)
            raise Interrupted

    def epoch(self, position: Position, optimizer: torch.optim.Optimizer, summary: dict[str, float]) -> None:
        """Write down an epoch and save."""
        place = {"stage": position.stage, "epoch": position.epoch, "step": self.tracking.at(position)}
        self.history.append({**place, **summary, **self.measure(position.stage)})
        self.tracking.after_epoch(self.history[-1])
        self._save(position, optimizer)
        columns = dict.fromkeys(key for line in self.history for key in line)  # lines may have fewer than others
        write_csv(self.folder / "history.csv", [columns | line for line in self.history])
        log.info(
            "%s epoch %d of %d: loss %.4f, %.1f s", position.stage, position.epoch, self.epochs,
            summary["loss"], summary["seconds"],
        )  # fmt: skip

    def _save(self, position: Position, optimizer: torch.optim.Optimizer) -> None:
        finished = position.stage == self.last_stage and position.epoch == self.epochs
        tensors = {"tuned": self.mixture.tuned_state(), "optimizer": optimizer_tensors(optimizer)}
        where = {"position": vars(position), "finished": finished, "history": self.history}
        written = write_checkpoint(self.folder / "checkpoint", self.steps, tensors, {**where, **self.identity})
        self.steps = written.manifest["step"]


@contextmanager
def stopping_softly(recorder: RunRecorder) -> Iterator[None]:
    """Let Ctrl-C and SIGTERM finish the step, save and stop; a second one stops at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    owner = os.getpid()

    def ask(number: int, frame: object) -> None:
        if os.getpid() != owner:
            return  # a loader's worker: the terminal tells all processes, and this one ends with its owner
        if recorder.stop_asked:
            raise KeyboardInterrupt
        recorder.stop_asked = True
        log.info("Stopping after this step; once more to stop at once.")

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
