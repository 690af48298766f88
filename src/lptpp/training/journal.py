"""history.jsonl: the numbers of training while it runs, one record for each epoch and every few steps."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lptpp.config.stages import StageKey
from lptpp.training.loop import Position
from lptpp.utils import processes
from lptpp.utils.disk import append
from lptpp.utils.io import json_line, write_json_lines

Record = dict[str, Any]  # of a step: stage, epoch, batch, step, numbers; of an epoch: the same without batch
Place = tuple[int, int, float]  # stage, epoch, batch: records come in this order


class Journal:
    """A file with one line of JSON for each record.

    Records after `position`, where training resumes, are dropped: they will be written again. `known_until` is the
    place of the last record found in the file, dropped or not.
    """

    def __init__(self, path: Path, stages: Sequence[StageKey], position: Position | None) -> None:
        self.path = path
        self.stages = [str(stage) for stage in stages]
        found = self._read()
        self.known_until = max(map(self.place, found), default=(-1, 0, 0.0))
        self.records = [] if position is None else [one for one in found if self.place(one) <= self._place_of(position)]
        if processes.is_main():
            write_json_lines(path, self.records)

    def place(self, record: Record) -> Place:
        """Return the place of a record in the run; that of an epoch comes after its steps."""
        return self.stages.index(record["stage"]), record["epoch"], record.get("batch", math.inf)

    def add(self, record: Record) -> None:
        """Append a record."""
        if processes.is_main():
            append(self.path, json_line(record).encode())

    def _place_of(self, position: Position) -> Place:
        return self.stages.index(str(position.stage)), position.epoch + 1, position.batch

    def _read(self) -> list[Record]:
        """Return the records of the file, without a last line that a crash cut short."""
        if not self.path.is_file():
            return []
        lines = self.path.read_text(encoding="utf-8", errors="replace").splitlines()
        return [record for record in map(_parsed, lines) if record.get("stage") in self.stages]


def _parsed(line: str) -> Record:
    try:
        record = json.loads(line)
        return record if isinstance(record, dict) and isinstance(record["epoch"], int) else {}
    except (ValueError, KeyError, RecursionError):
        return {}
