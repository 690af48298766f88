"""The numbers of training while it runs: in history.jsonl, and in TensorBoard or Weights & Biases if the settings ask.

Both trackers are accelerate's and write into the run folder (docs/tracking.md).
"""

import logging
import os
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from accelerate.tracking import GeneralTracker, TensorBoardTracker, WandBTracker

from lptpp.checkpoint.store import Checkpoint
from lptpp.config import Settings, flat, to_dictionary
from lptpp.config.stages import StageKey
from lptpp.training.journal import Journal, Record
from lptpp.training.loop import Position, Stage
from lptpp.utils import processes
from lptpp.utils.disk import writing
from lptpp.utils.errors import UserError
from lptpp.utils.extras import extra
from lptpp.utils.io import write_text

log = logging.getLogger("lptpp")
MARKS = {"tensorboard": "tensorboard", "wandb": "wandb/run_id"}  # what a tracker leaves in the run folder


PLACE_KEYS = ("stage", "epoch", "batch", "step")  # keys of a record that say where it belongs


class Tracking:
    """Reports each record once: a resumed run does not repeat what it reported before it stopped.

    The `step` of a record counts optimizer steps since the start of the run.
    """

    def __init__(self, settings: Settings, stages: Sequence[StageKey], checkpoint: Checkpoint | None) -> None:
        folder = self.folder = Path(settings.run)
        self.name = settings.tracker
        position = None if checkpoint is None else Position.restored(checkpoint.manifest["position"])
        self.every = settings.track_every
        self.journal = Journal(folder / "history.jsonl", stages, position)
        self.tracker, new = open_tracker(
            settings.tracker if processes.is_main() else "none", folder, flat(to_dictionary(settings))
        )
        for record in self.journal.records if new else []:
            self._show(record)  # a tracker added to a run that has begun
        self.begun = self.steps_an_epoch = 0  # steps before the current stage, and in each of its epochs
        rows = [] if checkpoint is None else checkpoint.manifest["history"]
        self.ends = {row["stage"]: row.get("step", 0) for row in rows}  # of the stages so far

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self.tracker is not None:
            with writing(self.folder / MARKS[self.name]):
                self.tracker.finish()

    def begin(self, stage: Stage, position: Position) -> None:
        """Note that a stage starts or resumes."""
        before = [step for name, step in self.ends.items() if name != str(stage.key)]
        self.begun, self.steps_an_epoch = max(before, default=0), stage.optimization.steps // stage.epochs

    def at(self, position: Position) -> int:
        """Return the number of steps the run has taken."""
        return self.begun + position.epoch * self.steps_an_epoch + position.batch

    def after_step(self, position: Position, rate: float) -> None:
        """Report the loss of every `track_every`-th step."""
        if position.batch % self.every == 0:
            position.read()
            place = {"stage": str(position.stage), "epoch": position.epoch + 1, "batch": position.batch}
            self._report({**place, "step": self.at(position), "loss": position.last_loss, "learning_rate": rate})

    def after_epoch(self, record: Record) -> None:
        """Report an epoch: a record with its stage, number, step and measurements."""
        self.ends[record["stage"]] = record["step"]
        self._report(record)

    def result(self, metrics: Mapping[str, Any]) -> None:
        """Report the metrics of the run's result row to the tracker."""
        result = metrics["rows"][metrics["result"]]
        values = {f"{metrics['split']}/{key}": value for key, value in result.items() if value is not None}
        self._log(values, max(self.ends.values(), default=0))

    def _report(self, record: Record) -> None:
        self.journal.add(record)
        if self.journal.place(record) > self.journal.known_until:
            self._show(record)

    def _show(self, record: Record) -> None:
        if self.tracker is not None:
            where = record["stage"] if "batch" in record else f"{record['stage']}/epoch"
            values = {f"{where}/{key}": value for key, value in record.items() if key not in PLACE_KEYS}
            self._log(values, record["step"])

    def _log(self, values: Mapping[str, Any], step: int) -> None:
        if self.tracker is not None:
            with writing(self.folder / MARKS[self.name]):
                self.tracker.log(values, step=step)


def check_tracker(name: str) -> None:
    """Raise `UserError` if the library of a tracker is not installed."""
    if name != "none":
        extra(name, name, f"tracker={name}")


def open_tracker(name: str, run: Path, settings: Mapping[str, Any]) -> tuple[GeneralTracker | None, bool]:
    """Return the tracker of a run, None for "none", and whether it is new to the run; a new one gets the `settings`.

    Raises:
        UserError: its library is missing or does not start.
    """
    check_tracker(name)
    if name == "none":
        return None, False
    new = not (run / MARKS[name]).exists()
    with writing(run / MARKS[name]):
        tracker = _tensorboard(run) if name == "tensorboard" else _wandb(run)
        if new:
            tracker.store_init_configuration({key: _shown(value) for key, value in settings.items()})
    return tracker, new


def _tensorboard(run: Path) -> GeneralTracker:
    tracker = TensorBoardTracker("tensorboard", logging_dir=str(run))
    tracker.start()
    return tracker


def _wandb(run: Path) -> GeneralTracker:
    wandb = extra("wandb", "wandb", "tracker=wandb")
    os.environ.setdefault("WANDB_DISABLE_WEAVE", "true")  # which would print an advertisement
    quiet = wandb.Settings(silent=True, console="off")  # log.txt already keeps the terminal output
    mark = run / MARKS["wandb"]
    run_id = mark.read_text(encoding="utf-8").strip() if mark.is_file() else secrets.token_hex(4)
    options = {"name": run.name, "dir": str(run), "id": run_id, "resume": "allow"}
    tracker = WandBTracker(os.environ.get("WANDB_PROJECT", "lptpp"), **options, settings=quiet)
    try:
        tracker.start()
    except wandb.errors.Error as error:
        reason = " ".join(str(error).split())[:160]
        raise UserError(
            f"tracker=wandb cannot start ({reason}): log in with `wandb login`, or set WANDB_MODE=offline."
        ) from error
    write_text(mark, run_id)  # resumes the same run
    place = f"upload with `wandb sync {tracker.run.settings.sync_dir}`" if tracker.run.offline else tracker.run.url
    log.info("Tracking with Weights & Biases: %s", place)
    return tracker


def _shown(value: Any) -> Any:
    return value if isinstance(value, bool | int | float | str) else str(value)
