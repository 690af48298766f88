"""The state of a sweep: an Optuna study in a file of JSON lines, without pickle."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lptpp.sweep.space import Space, assignment
from lptpp.utils.disk import writing
from lptpp.utils.extras import extra
from lptpp.utils.random import key


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
        _drop_torn_line(path)
        journal = self.optuna.storages.journal.JournalFileBackend(str(path))
        with writing(path):
            self.study = self.optuna.create_study(
                storage=self.optuna.storages.JournalStorage(journal),
                study_name="sweep",
                direction="minimize" if minimize else "maximize",
                load_if_exists=True,
            )

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


def _value(trial: Any) -> float | None:
    return trial.value if trial.state.name == "COMPLETE" else None


def _drop_torn_line(path: Path) -> None:
    """Remove an incomplete last line, left by a killed process: Optuna would append to it."""
    if path.is_file() and not (data := path.read_bytes()).endswith(b"\n"):
        os.truncate(path, data.rfind(b"\n") + 1)
