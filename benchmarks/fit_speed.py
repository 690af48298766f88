"""A whole fit of the demo: what share of it phase 3 takes, and how long it lasts."""

import logging
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import numpy as np

from goals import Finding
from lptpp.data.prepare import collection_of
from lptpp.models.build import build_mixture
from lptpp.training.fit import Training, logging_to
from lptpp.utils.errors import UserError
from lptpp.utils.progress import console
from machine import ROOT
from subject import demo_settings

EPOCH = re.compile(r"^(\S+ \S+) (\S+/phase(\d)) epoch (\d+) of (\d+): .* (\d+\.\d) s$")


@dataclass(frozen=True)
class Fit:
    """Seconds from the first epoch's start: to the end of phase 3, and those of phase 3, its outputs included."""

    whole: float
    scorer: float

    @property
    def scorer_share(self) -> float:
        """Phase 3's share, in %."""
        return 100 * self.scorer / self.whole


def read_fit(folder: Path) -> Fit:
    """Return what the log of a run folder says.

    Raises `UserError` where it does not hold one whole, uninterrupted run.
    """
    log = folder / "log.txt"
    lines = log.read_text(encoding="utf-8").splitlines() if log.is_file() else []
    epochs = [match.groups() for match in map(EPOCH.match, lines) if match]
    ends = [datetime.strptime(message, "%Y-%m-%d %H:%M:%S,%f").timestamp() for message, *_ in epochs]
    phases = [phase for _, _, phase, *_ in epochs]
    if not epochs or phases[-1] != "3" or epochs[-1][3] != epochs[-1][4] or any("Going on" in line for line in lines):
        raise UserError(f"{log} does not tell of one whole, uninterrupted run of three phases: give another folder.")
    first, before = ends[0] - float(epochs[0][-1]), ends[phases.index("3") - 1]
    return Fit(ends[-1] - first, ends[-1] - before)


def small_fit(folder: Path, every: int) -> Fit:
    """Fit the demo's settings, all epochs of them, to every n-th of its training pictures; no tables."""
    console.print(f"configs/emoji.yaml on every {every}th training picture …")
    settings = demo_settings(f"run={folder}")
    collection = collection_of(settings)
    collection = replace(collection, train=collection.train.subset(np.arange(0, len(collection.train), every)))
    folder.mkdir(parents=True, exist_ok=True)
    logging.getLogger("lptpp").setLevel(logging.INFO)
    with logging_to(folder / "log.txt"):
        Training(settings, collection, build_mixture(settings, len(collection.class_names)), None).run()
    return read_fit(folder)


def demo(folder: Path) -> float:
    """Run what `make demo` runs after installation, in a process of its own; return its seconds.

    Raises `UserError` where it fails.
    """
    console.print("lptpp fit configs/emoji.yaml …")
    program = "from lptpp.cli import main; main()"
    command = [sys.executable, "-c", program, "fit", str(ROOT / "configs" / "emoji.yaml"), f"run={folder}"]
    started = time.perf_counter()
    if subprocess.run(command, check=False, stdout=subprocess.DEVNULL).returncode:
        raise UserError("lptpp fit configs/emoji.yaml failed: run it by itself to see why.")
    return time.perf_counter() - started


def check(run: Path | None) -> None:
    """Raise `UserError` now, not after minutes, where the demo's pictures or a run's log would be missing."""
    collection_of(demo_settings())
    if run is not None:
        read_fit(run)


def findings(quick: bool, run: Path | None, scratch: Path) -> Iterator[Finding]:
    """Yield phase 3's share and the demo's time: from a run folder, a small fit, or the demo itself."""
    if run is not None:
        fit = read_fit(run)
        yield Finding("phase3", str(run), {"": fit.scorer_share}, "by its log")
        yield Finding("demo", str(run), {"": fit.whole / 60}, "by its log: the phases alone, no start, no tables")
    elif quick:
        every = 10
        fit = small_fit(scratch / "run", every)
        yield Finding("phase3", "configs/emoji.yaml", {"": fit.scorer_share}, f"a fit on every {every}th picture")
        yield Finding("demo", "configs/emoji.yaml", note="not measured here (leave --quick out, or give --demo FOLDER)")
    else:
        seconds = demo(scratch / "run")
        yield Finding("phase3", "configs/emoji.yaml", {"": read_fit(scratch / "run").scorer_share}, "the whole fit")
        yield Finding("demo", "configs/emoji.yaml", {"": seconds / 60}, "from start to report")
