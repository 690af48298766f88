"""What a run folder remembers while training goes on: checkpoints, history, progress, and the wish to stop."""

import logging
import os
import platform
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from lptpp.config import Settings, flat, to_dictionary
from lptpp.config_types import written
from lptpp.data.collection import Collection
from lptpp.errors import Interrupted, UserError
from lptpp.mixture import Mixture
from lptpp.progress import Bar, progress_bar
from lptpp.training.checkpoint import Checkpoint, write_checkpoint
from lptpp.training.loop import Position, Stage
from lptpp.training.optimisation import optimiser_tensors
from lptpp.training.tracking import Tracking
from lptpp.wording import listed
from lptpp.writing import write_csv

log = logging.getLogger("lptpp")
LIBRARIES = ("lptpp", "torch", "timm", "open_clip_torch", "accelerate")
FREE = ("run", "device", "workers", "tracker", "track_every", "data.root", "data.memory_gb")  # may differ later on,
FREE_BELOW = "evaluation."  # and all below


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
        steps = stage.optimisation.steps
        done = position.epoch * (steps // stage.epochs) + position.batch
        with progress_bar(stage.name, steps, done) as self.bar:
            yield

    def step(self, position: Position, optimiser: torch.optim.Optimizer) -> None:
        """Count a step; raise `Interrupted` after saving where the user asked to stop."""
        self.steps += 1
        self.tracking.after_step(position, optimiser.param_groups[0]["lr"])
        if self.bar is not None:
            self.bar.advance(note=f"loss {position.loss_sum / position.batch:.3f}")
        if self.stop_asked:
            self._save(position, optimiser)
            raise Interrupted

    def epoch(self, position: Position, optimiser: torch.optim.Optimizer, summary: dict[str, float]) -> None:
        """Write down an epoch and save."""
        place = {"stage": position.stage, "epoch": position.epoch, "step": self.tracking.at(position)}
        self.history.append({**place, **summary, **self.measure(position.stage)})
        self.tracking.after_epoch(self.history[-1])
        self._save(position, optimiser)
        columns = dict.fromkeys(key for line in self.history for key in line)  # lines may have fewer than others
        write_csv(self.folder / "history.csv", [columns | line for line in self.history])
        log.info(
            "%s epoch %d of %d: loss %.4f, %.1f s", position.stage, position.epoch, self.epochs,
            summary["loss"], summary["seconds"],
        )  # fmt: skip

    def _save(self, position: Position, optimiser: torch.optim.Optimizer) -> None:
        finished = position.stage == self.last_stage and position.epoch == self.epochs
        tensors = {"tuned": self.mixture.tuned_state(), "optimiser": optimiser_tensors(optimiser)}
        where = {"position": vars(position), "finished": finished, "history": self.history}
        written = write_checkpoint(self.folder / "checkpoint", self.steps, tensors, {**where, **self.identity})
        self.steps = written.manifest["step"]


def stage_names(mixture: Mixture) -> list[str]:
    """Return the names of all stages of a run, in order."""
    names = []
    for name, expert in mixture.experts.items():
        names += [f"{name}/phase1"] + ([f"{name}/phase2"] if expert.encoder.groups is not None else [])
    return names + (["mixture/phase3"] if mixture.scorer is not None else [])


def identity(settings: Settings, mixture: Mixture, collection: Collection) -> dict[str, Any]:
    """Return what makes a run this run: settings, classes, counts, backbones; and the versions that made it."""
    return {
        "settings": to_dictionary(settings),
        "class_names": collection.class_names,
        "counts": collection.train.counts(len(collection.class_names)).tolist(),
        "fingerprints": fingerprints(mixture),
        "versions": {name: version(name) for name in LIBRARIES} | {"python": platform.python_version()},
    }


def fingerprints(mixture: Mixture) -> dict[str, str]:
    """Return the fingerprint of every expert's backbone."""
    return {name: expert.backbone.fingerprint for name, expert in mixture.experts.items()}


def check_backbones(manifest: dict[str, Any], mixture: Mixture, folder: Path) -> None:
    """Raise `UserError` where a checkpoint was tuned on other backbone weights than these."""
    for name, found in fingerprints(mixture).items():
        if manifest["fingerprints"].get(name) != found:
            backbone = mixture.experts[name].backbone.name
            raise UserError(
                f"{folder} was tuned on another backbone than {backbone} as it is here (expert {name}: fingerprint"
                f" {str(manifest['fingerprints'].get(name))[:12]}…, not {found[:12]}…): give the weights it was"
                " tuned on."
            )


def check_same_run(manifest: dict[str, Any], now: dict[str, Any], folder: Path) -> None:
    """Raise `UserError` where a run folder was begun with other settings or other data."""
    before, after = _fixed(manifest["settings"]), _fixed(now["settings"])
    widest_first = sorted(before.keys() | after.keys(), key=lambda key: (key.count("."), key))
    changed = [key for key in widest_first if before.get(key) != after.get(key)]
    if changed:
        told = [
            f"{key}: {written(before.get(key))} in the folder, {written(after.get(key))} asked for" for key in changed
        ]
        raise UserError(
            f"{folder} holds a run with other settings ({listed(told, between='; ')}): give those of the folder, choose"
            " another run=FOLDER, or delete it."
        )
    if manifest["class_names"] != now["class_names"] or manifest["counts"] != now["counts"]:
        raise UserError(
            f"{folder} was begun with other pictures or classes: restore them, or choose another run=FOLDER."
        )


def _fixed(settings: dict[str, Any]) -> dict[str, Any]:
    """Return the settings that a run keeps, under dotted keys."""
    every = flat(settings).items()
    return {key: value for key, value in every if key not in FREE and not key.startswith(FREE_BELOW)}


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
