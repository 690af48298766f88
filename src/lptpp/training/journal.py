"""history.jsonl: the numbers of training as they come, each once however often the run was stopped."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lptpp.training.loop import Position
from lptpp.writing import json_line, write_json_lines

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
