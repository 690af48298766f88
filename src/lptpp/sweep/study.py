"""The memory of a sweep: Optuna's study in a file of JSON lines, which holds no pickle."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lptpp.sweep.space import Space, assignment
from lptpp.utils.extras import extra
from lptpp.utils.random import key


@dataclass(frozen=True)
class Trial:
    """One trial: its number from 1 on, the settings it tries as `key=value`, and how it ended."""

    number: int
    tried: tuple[str, ...]
    state: str = "unfinished"  # or finished, failed
    value: float | None = None


class Study:
    """Proposes settings and remembers what they gave; the proposals follow from the seed and the trials before."""

    def __init__(self, path: Path, space: Space, minimize: bool, seed: int) -> None:
        self.space, self.seed = space, seed
        self.optuna: Any = extra("optuna", "sweep", "lptpp sweep")
        self.optuna.logging.set_verbosity(self.optuna.logging.ERROR)
        _drop_torn_line(path)
        journal = self.optuna.storages.journal.JournalFileBackend(str(path))
        self.study = self.optuna.create_study(
            storage=self.optuna.storages.JournalStorage(journal),
            study_name="sweep",
            direction="minimize" if minimize else "maximize",
            load_if_exists=True,
        )

    def trials(self) -> list[Trial]:
        """Return all trials so far, in order."""
        states = {"COMPLETE": "finished", "FAIL": "failed"}
        return [
            Trial(one.number + 1, self._tried(one.params), states.get(one.state.name, "unfinished"), _value(one))
            for one in self.study.trials
        ]

    def due(self, total: int) -> Iterator[Trial]:
        """Yield the trials that were not finished, then new ones until there are `total`."""
        yield from [trial for trial in self.trials() if trial.state == "unfinished"]
        while (made := len(self.study.trials)) < total:
            # a sampler's own stream would start again whenever the sweep goes on
            self.study.sampler = self.optuna.samplers.TPESampler(seed=key(self.seed, "sweep", made) % 2**32)
            trial = self.study.ask(self.space)
            yield Trial(trial.number + 1, self._tried(trial.params))

    def finish(self, trial: Trial, value: float | None) -> None:
        """Remember what a trial gave, None where it failed."""
        failed = self.optuna.trial.TrialState.FAIL
        self.study.tell(trial.number - 1, value, state=failed if value is None else None)

    def best(self) -> Trial | None:
        """Return the best trial so far, None where none is finished."""
        finished = [trial for trial in self.trials() if trial.state == "finished"]
        return next((one for one in finished if one.number == self.study.best_trial.number + 1), None)

    def _tried(self, values: dict[str, Any]) -> tuple[str, ...]:
        return tuple(assignment(key, values[key]) for key in self.space if key in values)


def _value(trial: Any) -> float | None:
    return trial.value if trial.state.name == "COMPLETE" else None


def _drop_torn_line(path: Path) -> None:
    """Cut off a last line that a kill left without its end: Optuna would write on behind it."""
    if path.is_file() and not (data := path.read_bytes()).endswith(b"\n"):
        path.write_bytes(data[: data.rfind(b"\n") + 1])
