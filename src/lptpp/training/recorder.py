"""What a run writes while it trains: checkpoints, history, progress; and how it stops on request."""

import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from lptpp.checkpoint.identity import identity
from lptpp.checkpoint.store import Checkpoint, write_checkpoint
from lptpp.config import Settings
from lptpp.config.stages import MIXTURE, StageKey
from lptpp.data.cache import ImageCache
from lptpp.data.dataset import ImageDataset
from lptpp.evaluation.evaluate import evaluate
from lptpp.evaluation.metrics import shot_accuracy
from lptpp.evaluation.table import ResultRow
from lptpp.inference.runtime import Runner
from lptpp.models.mixture import Mixture
from lptpp.training.best_epoch import ENTRY, TENSORS, BestEpoch
from lptpp.training.loop import Position, Stage
from lptpp.training.optim import optimizer_tensors
from lptpp.training.tracking import Tracking
from lptpp.utils import exchange, processes
from lptpp.utils.errors import Interrupted
from lptpp.utils.io import write_csv
from lptpp.utils.progress import Bar, progress_bar
from lptpp.utils.stopping import waits_for_step
from lptpp.utils.text import duration

log = logging.getLogger("lptpp")
BELOW_ZERO = " (below 0: the loss of phase 2 includes minus the similarity of images and keys)"
STOPPING = b"Stopping after this step. Press Ctrl-C again to stop immediately.\n"

REPEATED = 5  # seconds in which launchers repeat a signal to processes that a terminal has signaled already


def remark(history: Sequence[Mapping[str, Any]]) -> str:
    """Return what explains the last loss of a history if it is the first one that is negative."""
    below = [line["loss"] < 0 for line in history]
    return BELOW_ZERO if below[-1] and sum(below) == 1 else ""


class Pace:
    """How long the remaining steps of a stage take at the pace of those since it was made, after the preparation."""

    def __init__(self, steps: int, done: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.steps, self.first, self.clock = steps, done, clock
        self.began = clock()

    def left(self, done: int) -> str:
        """Return the time left after `done` steps as the end of a sentence; empty for less than a minute."""
        seconds = round((self.clock() - self.began) * (self.steps - done) / max(done - self.first, 1))
        return f", about {duration(seconds)} left in this phase" if seconds >= 60 else ""


class RunRecorder:
    """Writes a checkpoint after every epoch, every few minutes, and at the step at which the user stops the run."""

    def __init__(
        self,
        settings: Settings,
        mixture: Mixture,
        collection: ImageDataset,
        checkpoint: Checkpoint | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.folder = Path(settings.run)
        self.keep = settings.keep_checkpoints
        self.clock = clock  # seconds; monotonic, so that setting the time of day changes nothing
        self.interval = 60 * settings.checkpoint_minutes
        self.saved_at = clock()
        self.mixture = mixture
        self.identity = identity(settings, mixture, collection) if processes.is_main() else {}
        self.history: list[dict[str, Any]] = [] if checkpoint is None else list(checkpoint.manifest["history"])
        self.steps = 0 if checkpoint is None else checkpoint.manifest["step"]
        self.last_stage = mixture.stages()[-1]
        self.tracking = Tracking(settings, mixture.stages(), checkpoint)
        self.measure: Callable[[StageKey], dict[str, Any]] = lambda stage: {}  # after an epoch, in addition to the loss
        keeps_best = settings.evaluation.keep == "best"
        self.best = BestEpoch.restored(mixture, checkpoint) if keeps_best else None
        self.stop_asked = False
        self.bar: Bar | None = None
        self.epochs = 0
        self.pace = Pace(0, 0)
        if self.history:
            self._write_history()  # which may lack the last epoch: the disk was full

    @contextmanager
    def watching(self, stage: Stage, position: Position) -> Iterator[None]:
        """Show the progress of a stage."""
        self.epochs = stage.epochs
        self.tracking.begin(stage, position)
        steps = stage.optimization.steps
        done = position.epoch * (steps // stage.epochs) + position.batch
        self.pace = Pace(steps, done)
        with progress_bar(str(stage.key), steps, done, "steps") as self.bar:
            yield

    def step(self, position: Position, optimizer: torch.optim.Optimizer) -> None:
        """Count a step; if the user asked to stop, save and raise `Interrupted`."""
        self.steps += 1
        self.tracking.after_step(position, optimizer.param_groups[0]["lr"])
        if self.bar is not None:
            self.bar.advance(note=f"loss {position.mean_loss():.3f}")
        asked = exchange.any_of(self.stop_asked)  # a later signal counts for the next step
        if asked:
            position.read()
        if not position.unread and (asked or self.clock() - self.saved_at >= self.interval):
            self._save(position, optimizer)
        if asked:
            exchange.barrier()  # a launcher kills the others as soon as one process has ended
            raise Interrupted

    def stop_if_asked(self) -> None:
        """Raise `Interrupted` if the user asked to stop; called where there is nothing to save."""
        if self.stop_asked:
            raise Interrupted

    def epoch(self, position: Position, optimizer: torch.optim.Optimizer, summary: dict[str, float]) -> None:
        """Record an epoch and save."""
        place = {"stage": str(position.stage), "epoch": position.epoch, "step": self.tracking.at(position)}
        self.history.append({**place, **summary, **self.measure(position.stage)})
        self.tracking.after_epoch(self.history[-1])
        if self.best is not None:
            self._choose(self.best, position)
        self._save(position, optimizer)
        self._write_history()
        done = position.epoch * self.pace.steps // self.epochs
        log.info(
            "%s epoch %d of %d: loss %.4f, %.1f s%s%s", position.stage, position.epoch, self.epochs,
            summary["loss"], summary["seconds"], self.pace.left(done), remark(self.history),
        )  # fmt: skip

    def _write_history(self) -> None:
        if not processes.is_main():
            return
        columns = dict.fromkeys(key for line in self.history for key in line)  # rows may lack some columns
        write_csv(self.folder / "history.csv", [columns | line for line in self.history])

    def _choose(self, best: BestEpoch, position: Position) -> None:
        """Keep the best epoch of a stage at its end, and mark it in the history."""
        best.after_epoch(position, self.history[-1])
        if position.epoch < self.epochs:
            return
        best.keep()
        for line in self.history:
            if line["stage"] == best.stage:
                line["kept"] = line["epoch"] == best.epoch
        log.info(
            "%s keeps epoch %d of %d: mean class accuracy %.1f%% on the validation split.",
            best.stage, best.epoch, self.epochs, best.value,
        )  # fmt: skip

    def _save(self, position: Position, optimizer: torch.optim.Optimizer) -> None:
        if not processes.is_main():
            self.saved_at = self.clock()
            return
        finished = position.stage == self.last_stage and position.epoch == self.epochs
        tensors = {"tuned": self.mixture.tuned_state(), "optimizer": optimizer_tensors(optimizer)}
        if self.best is not None:
            tensors[TENSORS] = self.best.weights
        where = {"position": position.saved(), "finished": finished, "history": self.history}
        if self.best is not None:
            where[ENTRY] = self.best.saved()
        manifest = {**where, **self.identity}
        written = write_checkpoint(self.folder / "checkpoint", self.steps, tensors, manifest, self.keep)
        self.steps, self.saved_at = written.manifest["step"], self.clock()


class Validation:
    """Measures what a stage trains on the validation split, epoch by epoch: for curves, and for `evaluation.keep`."""

    def __init__(self, mixture: Mixture, collection: ImageDataset, images: ImageCache, runner: Runner) -> None:
        self.mixture = mixture
        self.images = images
        self.counts = collection.counts()
        self.runner = runner

    def __call__(self, stage: StageKey) -> dict[str, float | None]:
        """Return overall and mean-class accuracy, in percent, of the stage's expert or of the mixture."""
        alone = stage.owner != MIXTURE
        mixture = Mixture({stage.owner: self.mixture.experts[stage.owner]}) if alone else self.mixture
        found = evaluate(mixture, self.images, self.runner)
        row = found.rankings.get(ResultRow(stage.settings_key, stage.owner), found.rankings[found.result])
        metrics = shot_accuracy(row.classes[:, 0], row.probabilities[:, 0], found.labels, self.counts)
        return {f"validation_{key}": metrics[key] for key in ("overall", "mean_class")}


@contextmanager
def stopping_softly(recorder: RunRecorder) -> Iterator[None]:
    """On Ctrl-C or SIGTERM, finish the step, save and stop; without a step, or on a second one, stop immediately.

    Several processes always stop together, at a step or a batch.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    owner, first, at_once = os.getpid(), 0.0, False

    def ask(number: int, frame: object) -> None:
        if os.getpid() != owner:
            return  # a loader worker: a terminal signals all processes, and this one ends with its owner
        nonlocal first, at_once
        if recorder.stop_asked and (processes.count() == 1 or time.monotonic() - first > REPEATED):
            raise KeyboardInterrupt
        if recorder.stop_asked:
            return
        recorder.stop_asked, first = True, time.monotonic()
        at_once = processes.count() == 1 and not waits_for_step()
        if at_once:
            raise KeyboardInterrupt
        if not processes.is_main():
            return
        os.write(2, STOPPING)  # not the logger: a signal that interrupts it makes it repeat a line

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    except KeyboardInterrupt:
        if not at_once:
            raise
        raise Interrupted from None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
