"""How long a run of the suite takes: an estimate from the trials that were timed, corrected by those of this run."""

import time
from collections.abc import Mapping

from benchmarks.reliability.promise import Promise

START = 15  # seconds until the first trial: imports and the unbroken run


def estimate(promise: Promise, trials: float) -> float:
    """Return the seconds that trials of a promise take on 2 free cores."""
    return promise.once + promise.seconds * trials


class Clock:
    """The time left of a run: `counts` has the trials of each promise that is not done yet."""

    def __init__(self, promises: Mapping[str, Promise], counts: Mapping[str, int]) -> None:
        self.promises, self.counts = promises, dict(counts)
        self.began, self.done = time.monotonic(), 0.0  # estimated seconds of what is done

    def finished(self, name: str) -> None:
        """Count a promise as done."""
        self.done += estimate(self.promises[name], self.counts.pop(name))

    def left(self, now: str | None = None, tried: int = 0) -> float:
        """Return the seconds left after `tried` trials of the promise that is tried `now`."""
        inside = 0.0 if now is None else min(tried, self.counts[now]) * self.promises[now].seconds
        rest = sum(estimate(self.promises[name], count) for name, count in self.counts.items()) - inside
        done = self.done + inside
        return rest * (time.monotonic() - self.began + START) / (done + START)


def in_words(seconds: float) -> str:
    """Return a time such as 7 min."""
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"
