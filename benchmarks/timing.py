"""Cases measured side by side: their time in turns, the peak memory of each."""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from lptpp.utils.progress import console, progress_bar
from machine import peak_memory, synchronize


@dataclass(frozen=True)
class Case:
    """Something to measure: what it is called, what runs it once, how many images that takes."""

    name: str
    run: Callable[[], object]
    images: int


@dataclass(frozen=True)
class Measured:
    """What came out for a case: seconds of each round, images of a run, bytes at the peak of a run."""

    seconds: tuple[float, ...]
    images: int
    peak_bytes: int

    @property
    def median(self) -> float:
        """Median seconds of a run."""
        return statistics.median(self.seconds)

    @property
    def images_a_second(self) -> float:
        """Images a second at the median."""
        return self.images / self.median


def times(above: Measured, below: Measured) -> float:
    """Return how many times the seconds of `below` those of `above` are: the median over rounds.

    The runs of a round follow each other at once, so that what slows the machine for a while hits both.
    """
    return statistics.median(a / b for a, b in zip(above.seconds, below.seconds, strict=True))


def measure(title: str, cases: Sequence[Case], device: torch.device, rounds: int) -> dict[str, Measured]:
    """Run all cases in turns (A B C A B C …), after two runs of each to warm up and to see its memory."""
    console.print(f"{title} …")
    with progress_bar(title, len(cases) * (2 + rounds)) as bar:
        peaks = []
        for case in cases:
            case.run()
            peaks.append(peak_memory(case.run, device))
            bar.advance(2)
        seconds: list[list[float]] = [[] for _ in cases]
        for _ in range(rounds):
            for case, took in zip(cases, seconds, strict=True):
                took.append(seconds_of(case.run, device))
                bar.advance()
    measured = zip(cases, seconds, peaks, strict=True)
    return {case.name: Measured(tuple(took), case.images, peak) for case, took, peak in measured}


def seconds_of(run: Callable[[], object], device: torch.device) -> float:
    """Return the seconds that one run takes until the device is done."""
    synchronize(device)
    started = time.perf_counter()
    run()
    synchronize(device)
    return time.perf_counter() - started
