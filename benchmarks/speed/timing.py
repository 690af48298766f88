"""Interleaved timing of cases, and their peak memory."""

import gc
import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch.profiler import ProfilerActivity, profile

from lptpp.utils.progress import console, progress_bar

os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # no log lines of the profiler on machines without a GPU
PEAK_MEMORY = {
    "cpu": "live tensors allocated by the run (torch.profiler), without scratch memory of libraries",
    "cuda": "torch.cuda.max_memory_allocated minus the memory allocated before the run",
}


@dataclass(frozen=True)
class Case:
    """Something to measure: a name, a function that runs it once, and the images per run."""

    name: str
    run: Callable[[], object]
    images: int


@dataclass(frozen=True)
class Measurement:
    """The result of a case: seconds of each round, images per run, peak bytes of a run."""

    seconds: tuple[float, ...]
    images: int
    peak_bytes: int

    @property
    def median(self) -> float:
        """Median seconds per run."""
        return statistics.median(self.seconds)

    @property
    def images_per_second(self) -> float:
        """Images per second, from the median."""
        return self.images / self.median


def time_ratio(above: Measurement, below: Measurement) -> float:
    """Return the median over rounds of the ratio of the seconds of `above` to those of `below`.

    The runs of a round follow each other directly, so a temporary slowdown of the machine affects both.
    """
    return statistics.median(a / b for a, b in zip(above.seconds, below.seconds, strict=True))


def measure(title: str, cases: Sequence[Case], device: torch.device, rounds: int) -> dict[str, Measurement]:
    """Run all cases interleaved (A B C A B C …), after two runs of each for warm-up and peak memory."""
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
    return {case.name: Measurement(tuple(took), case.images, peak) for case, took, peak in measured}


def seconds_of(run: Callable[[], object], device: torch.device) -> float:
    """Return the seconds of one run, device synchronization included."""
    synchronize(device)
    started = time.perf_counter()
    run()
    synchronize(device)
    return time.perf_counter() - started


def synchronize(device: torch.device) -> None:
    """Wait for all operations on the device."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def peak_memory(run: Callable[[], object], device: torch.device) -> int:
    """Return the peak bytes of a run beyond those allocated before it (see `PEAK_MEMORY`)."""
    gc.collect()  # so that no earlier garbage is freed during the run
    return _peak_on_gpu(run, device) if device.type == "cuda" else _peak_on_cpu(run)


def _peak_on_gpu(run: Callable[[], object], device: torch.device) -> int:
    synchronize(device)
    before = torch.cuda.memory_allocated(device)
    torch.cuda.reset_peak_memory_stats(device)
    run()
    synchronize(device)
    return torch.cuda.max_memory_allocated(device) - before


def _peak_on_cpu(run: Callable[[], object]) -> int:
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        run()
    assert profiled.profiler is not None and profiled.profiler.kineto_results is not None
    events = [event for event in profiled.profiler.kineto_results.events() if event.name() == "[memory]"]
    allocated = peak = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        allocated += event.nbytes()  # negative when memory is freed
        peak = max(peak, allocated)
    return peak
