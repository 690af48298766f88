"""A promise, its trials, and what came of them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple


class Verdict(NamedTuple):
    """What came of one trial."""

    trial: str
    problem: str | None  # None if the promise held
    trials: int = 1  # that it stands for


class NotHere(Exception):
    """This machine cannot try a promise; the message is the reason."""


@dataclass(frozen=True)
class Promise:
    """A promise: its text in the table, the numbers of trials, and the function that tries it.

    `verdicts` gets the world (`benchmarks.reliability.world`) and the number of trials.
    """

    text: str
    verdicts: Callable[[Any, int], Iterator[Verdict]]
    full: int  # trials
    share: int  # trials in the share of the ordinary tests
    seconds: float = 0.0  # that a trial takes on 2 free cores, both lanes at work
    once: float = 0.0  # seconds in addition, however many trials


@dataclass
class Tally:
    """The trials of a promise so far."""

    text: str
    tried: int = 0
    problems: list[Verdict] = field(default_factory=list)
    note: str = ""  # why it was not tried, or not completely
    seconds: float = 0.0  # that it took
    cpu_seconds: float = 0.0  # of all cores

    @property
    def held(self) -> int:
        """Trials in which the promise held."""
        return self.tried - sum(problem.trials for problem in self.problems)

    @property
    def kept(self) -> bool:
        """Return whether it was tried and held in every trial."""
        return self.tried > 0 and not self.problems and not self.note

    def add(self, verdict: Verdict) -> None:
        """Count a verdict."""
        self.tried += verdict.trials
        if verdict.problem is not None:
            self.problems.append(verdict)
