"""Where the numbers of training go while it runs: history.jsonl always, a tracker where the settings name one."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from lptpp.checkpoint.store import Checkpoint
from lptpp.config import Settings, flat, to_dictionary
from lptpp.training.loop import Position, Stage
from lptpp.training.trackers import open_tracker
from lptpp.utils.io import json_line, write_json_lines

Record = dict[str, Any]  # of a step: stage, epoch, batch, step, numbers; of an epoch: the same without batch
Place = tuple[int, int, float]  # stage, epoch, batch: records come in this order


class Journal:
    """Lines of JSON, one for each record; lines after `position`, where training goes on, are dropped and come again.

    `told_until` is the place of the last line that was there before, dropped or not.
    """

    def __init__(self, path: Path, stages: Sequence[str], position: Position | None) -> None:
        self.path = path
        self.stages = list(stages)
        found = self._read()
        self.told_until = max(map(self.place, found), default=(-1, 0, 0.0))
        self.records = [] if position is None else [one for one in found if self.place(one) <= self._standing(position)]
        write_json_lines(path, self.records)

    def place(self, record: Record) -> Place:
        """Return where in the run a record belongs; an epoch comes after its steps."""
        return self.stages.index(record["stage"]), record["epoch"], record.get("batch", math.inf)

    def add(self, record: Record) -> None:
        """Write a record at the end."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json_line(record))

    def _standing(self, position: Position) -> Place:
        return self.stages.index(position.stage), position.epoch + 1, position.batch

    def _read(self) -> list[Record]:
        """Return the records of the file; a line that a kill cut short is none."""
        if not self.path.is_file():
            return []
        lines = self.path.read_text(encoding="utf-8", errors="replace").splitlines()
        return [record for record in map(_parsed, lines) if record.get("stage") in self.stages]


def _parsed(line: str) -> Record:
    try:
        record = json.loads(line)
        return record if isinstance(record, dict) and isinstance(record["epoch"], int) else {}
    except (ValueError, KeyError):
        return {}


PLACE = ("stage", "epoch", "batch", "step")  # keys of a record that say where it belongs


class Tracking:
    """Tells each record once: what a stopped run told before it was stopped is not told again when it goes on.

    A record's `step` counts the optimizer's steps since the start of the run.
    """

    def __init__(self, settings: Settings, stages: Sequence[str], checkpoint: Checkpoint | None) -> None:
        folder = Path(settings.run)
        position = None if checkpoint is None else Position(**checkpoint.manifest["position"])
        self.every = settings.track_every
        self.journal = Journal(folder / "history.jsonl", stages, position)
        self.tracker, new = open_tracker(settings.tracker, folder, flat(to_dictionary(settings)))
        for record in self.journal.records if new else []:
            self._show(record)  # a tracker that joins late
        self.begun = self.steps_an_epoch = 0  # steps before the present stage, and in each of its epochs
        self.loss_before = 0.0
        rows = [] if checkpoint is None else checkpoint.manifest["history"]
        self.ends = {row["stage"]: row.get("step", 0) for row in rows}  # of stages, so far

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self.tracker is not None:
            self.tracker.finish()

    def begin(self, stage: Stage, position: Position) -> None:
        """Be told of a stage that begins or goes on."""
        before = [step for name, step in self.ends.items() if name != stage.name]
        self.begun, self.steps_an_epoch = max(before, default=0), stage.optimization.steps // stage.epochs
        self.loss_before = position.loss_sum

    def at(self, position: Position) -> int:
        """Return how many steps the run has taken."""
        return self.begun + position.epoch * self.steps_an_epoch + position.batch

    def after_step(self, position: Position, rate: float) -> None:
        """Tell the loss of a step, if it is its turn."""
        loss, self.loss_before = position.loss_sum - self.loss_before, position.loss_sum
        if position.batch % self.every == 0:
            place = {"stage": position.stage, "epoch": position.epoch + 1, "batch": position.batch}
            self._tell({**place, "step": self.at(position), "loss": loss, "learning_rate": rate})

    def after_epoch(self, record: Record) -> None:
        """Tell of an epoch; `record` holds its stage, number, step and whatever was measured."""
        self.loss_before = 0.0
        self.ends[record["stage"]] = record["step"]
        self._tell(record)

    def result(self, metrics: Mapping[str, Any]) -> None:
        """Tell the tracker what the evaluation found of the run's answer."""
        result = metrics["rows"][metrics["result"]]
        values = {f"{metrics['split']}/{key}": value for key, value in result.items() if value is not None}
        if self.tracker is not None:
            self.tracker.log(values, step=max(self.ends.values(), default=0))

    def _tell(self, record: Record) -> None:
        self.journal.add(record)
        if self.journal.place(record) > self.journal.told_until:
            self._show(record)

    def _show(self, record: Record) -> None:
        if self.tracker is not None:
            where = record["stage"] if "batch" in record else f"{record['stage']}/epoch"
            values = {f"{where}/{key}": value for key, value in record.items() if key not in PLACE}
            self.tracker.log(values, step=record["step"])
