"""The state of a sweep: an Optuna study in a file of JSON lines, without pickle."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lptpp.sweep.space import Space, assignment
from lptpp.utils.disk import CannotWrite, writing
from lptpp.utils.errors import UserError
from lptpp.utils.extras import extra
from lptpp.utils.paths import refuse_special
from lptpp.utils.random import key

BEGINS = b'"datetime_start"'  # in the line that begins a trial; a line for each parameter follows


@dataclass(frozen=True)
class Trial:
    """A trial: its number, from 1; its settings as `key=value`; its outcome."""

    number: int
    overrides: tuple[str, ...]
    state: str = "unfinished"  # or finished, failed
    value: float | None = None


class Study:
    """Propose settings and store their values; proposals depend on the seed and the previous trials only."""

    def __init__(self, path: Path, space: Space, minimize: bool, seed: int) -> None:
        self.path, self.space, self.seed = path, space, seed
        self.optuna: Any = extra("optuna", "sweep", "lptpp sweep")
        self.optuna.logging.set_verbosity(self.optuna.logging.ERROR)
        refuse_special(path)
        with writing(path):
            _drop_unfinished_lines(path, len(space))
        try:
            with writing(path):
                self.study = self._opened("minimize" if minimize else "maximize")
                self.trials()
        except CannotWrite:
            raise
        except Exception as error:  # Optuna raises nearly anything for a damaged file
            reason = " ".join(f"{type(error).__name__}: {error}".split())[:160]
            raise UserError(f"{path} is damaged ({reason}): restore it, or choose another --output.") from error

    def _opened(self, direction: str) -> Any:
        journal = self.optuna.storages.journal.JournalFileBackend(str(self.path), _Unlocked())
        storage = self.optuna.storages.JournalStorage(journal)
        return self.optuna.create_study(storage=storage, study_name="sweep", direction=direction, load_if_exists=True)

    def trials(self) -> list[Trial]:
        """Return all trials, in order."""
        states = {"COMPLETE": "finished", "FAIL": "failed"}
        return [
            Trial(one.number + 1, self._overrides(one.params), states.get(one.state.name, "unfinished"), _value(one))
            for one in self.study.trials
        ]

    def due(self, total: int) -> Iterator[Trial]:
        """Yield the unfinished trials, then new ones until there are `total`."""
        yield from [trial for trial in self.trials() if trial.state == "unfinished"]
        while (count := len(self.study.trials)) < total:
            # reseeded per trial, so that a resumed sweep proposes the same settings
            self.study.sampler = self.optuna.samplers.TPESampler(seed=key(self.seed, "sweep", count) % 2**32)
            with writing(self.path):
                trial = self.study.ask(self.space)
            yield Trial(trial.number + 1, self._overrides(trial.params))

    def finish(self, trial: Trial, value: float | None) -> None:
        """Store the value of a trial, None if it failed."""
        failed = self.optuna.trial.TrialState.FAIL
        with writing(self.path):
            self.study.tell(trial.number - 1, value, state=failed if value is None else None)

    def best(self) -> Trial | None:
        """Return the best finished trial, None if there is none."""
        finished = [trial for trial in self.trials() if trial.state == "finished"]
        return next((one for one in finished if one.number == self.study.best_trial.number + 1), None)

    def _overrides(self, values: dict[str, Any]) -> tuple[str, ...]:
        return tuple(assignment(key, values[key]) for key in self.space if key in values)


class _Unlocked:
    """No lock: the sweep has locked its folder. A killed process leaves that of Optuna, which others then wait for."""

    def acquire(self) -> bool:
        """Do nothing."""
        return True

    def release(self) -> None:
        """Do nothing."""


def _value(trial: Any) -> float | None:
    return trial.value if trial.state.name == "COMPLETE" else None


def _drop_unfinished_lines(path: Path, parameters: int) -> None:
    """Remove what a killed process left: an incomplete last line, and a last trial without all of its parameters.

    Optuna would append to the line, and the trial would run with other settings. It is proposed again, the same.
    """
    if not path.is_file():
        return
    lines = path.read_bytes().splitlines(keepends=True)
    if lines and not lines[-1].endswith(b"\n"):
        lines.pop()
    begun = next((i for i in range(len(lines) - 1, -1, -1) if BEGINS in lines[i]), len(lines))
    if 0 < len(lines) - begun <= parameters:
        del lines[begun:]
    size = sum(map(len, lines))
    if size < path.stat().st_size:
        os.truncate(path, size)
