"""The speed of lptpp against its goals: the floor, the published form, and lptpp, in one process.

    python -m benchmarks.speed --quick                         (under 2 minutes on 2 cores: the bundled visual tower)
    python -m benchmarks.speed --json speed.json               (ten minutes: both bundled towers, ViT-B/16, the demo)
    python -m benchmarks.speed --backbone vit_base --device cuda
    python -m benchmarks.speed --quick --demo runs/emoji       (times of the demo from an existing run)

The floor is one forward pass of the frozen backbone. The published form concatenates prompts, runs each block on all
tokens, and makes one full pass for the query and another for the features (published.py). The cases of a section are
interleaved, so a temporary slowdown of the machine affects all of them; a ratio is the median over rounds.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from benchmarks.machine import stamp
from benchmarks.speed import gpu, loop, photos, sampler, steps, whole_fit
from benchmarks.speed.goals import Finding, show
from benchmarks.speed.timing import PEAK_MEMORY, Measurement
from benchmarks.speed.workload import Workload, bundled, vit_base
from lptpp.utils.errors import UserError
from lptpp.utils.io import write_json


@dataclass(frozen=True)
class Effort:
    """The size of the measurement."""

    rounds: int  # per section
    batch: int  # images per step on the bundled towers
    vit_batch: int  # images per step on ViT-B/16
    images: int  # of the training loop


QUICK = Effort(rounds=3, batch=64, vit_batch=2, images=256)
FULL = {
    "cpu": Effort(rounds=5, batch=128, vit_batch=4, images=1024),
    "cuda": Effort(rounds=30, batch=512, vit_batch=128, images=1024),
}
SAMPLES = (10_000_000, 8_142)  # images and classes for the samplers


@dataclass
class Results:
    """All cases by section, and the findings."""

    cases: list[dict[str, Any]] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    sizes: dict[str, dict[str, int]] = field(default_factory=dict)

    def add(self, workload: Workload, section: str, measured: dict[str, Measurement]) -> dict[str, Measurement]:
        """Store the cases of a section; return them."""
        self.sizes[workload.label] = workload.sizes
        for name, one in measured.items():
            numbers = {"median_seconds": one.median, "images_per_second": one.images_per_second}
            self.cases.append({"on": workload.label, "section": section, "case": name, **asdict(one), **numbers})
        return measured


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print the tables, write the JSON."""
    options = parsed(arguments)
    try:
        report = measured(options)
    except UserError as error:
        sys.exit(f"benchmarks.speed: {error}")
    show(report, Console(width=None if sys.stdout.isatty() else 200))
    if options.json is not None:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        write_json(options.json, report)


def parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer rounds, smaller batches, without the complete demo")
    parser.add_argument("--json", type=Path, help="write all numbers, the machine and the command to this file")
    parser.add_argument("--backbone", choices=("bundled", "vit_base", "all"), help="all; with --quick: bundled")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="CPU, and GPU if available")
    parser.add_argument("--demo", type=Path, help="a run folder of the demo to read its times from")
    options = parser.parse_args(arguments)
    options.backbone = options.backbone or ("bundled" if options.quick else "all")
    return options


def measured(options: argparse.Namespace) -> dict[str, Any]:
    """Run all sections; return all numbers, the machine and the command.

    Raises:
        UserError: the device is not available, or the run folder of the demo has no times.
    """
    devices, results = devices_of(options.device), Results()
    whole_fit.check(options.demo)
    for device in devices:
        effort = QUICK if options.quick and device.type == "cpu" else FULL[device.type]
        for workload in workloads(options, effort, device):
            measure_workload(workload, effort, options.quick, results)
    results.findings += list(gpu.without_gpu()) if len(devices) == 1 and devices[0].type == "cpu" else []
    results.findings += sampler.findings(*SAMPLES)
    results.findings += photos.findings(QUICK.rounds)
    with tempfile.TemporaryDirectory() as scratch:
        results.findings += whole_fit.findings(options.quick, options.demo, Path(scratch))
    return {
        "command": " ".join(["python", *sys.argv]),
        "machine": stamp(devices[-1]),
        "peak_memory": {device.type: PEAK_MEMORY[device.type] for device in devices},
        "sizes": results.sizes,
        "goals": [finding.plain() for finding in results.findings],
        "cases": results.cases,
    }


def devices_of(name: str) -> list[torch.device]:
    """Return the devices to measure; `auto` is the CPU and, if available, a GPU."""
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError("--device cuda: PyTorch finds no GPU; use --device cpu.")
    names = [name] if name != "auto" else ["cpu"] + ["cuda"] * torch.cuda.is_available()
    return [torch.device(one) for one in names]


def workloads(options: argparse.Namespace, effort: Effort, device: torch.device) -> Iterator[Workload]:
    """Yield the workloads of a device, one in memory at a time."""
    if options.backbone != "vit_base":
        names = ("visual",) if options.quick else ("visual", "language")
        yield from (bundled(name, effort.batch, device) for name in names)
    if options.backbone != "bundled":
        yield vit_base(effort.vit_batch, device)


def measure_workload(workload: Workload, effort: Effort, quick: bool, results: Results) -> None:
    """Measure inference, steps and the training loop of one workload."""
    rounds, on_gpu = effort.rounds, workload.device.type == "cuda"
    inferred = results.add(workload, "inference", steps.inference(workload, 3 * rounds))  # short runs need more rounds
    results.findings += steps.inference_findings(workload, inferred)
    if quick and workload.large and not on_gpu:
        return  # its steps take minutes
    results.add(workload, "phase-1 step", steps.phase1_step(workload, rounds))
    stepped = results.add(workload, "phase-2 step", steps.phase2_step(workload, rounds))
    results.findings += steps.step_findings(workload, stepped)
    if on_gpu and workload.large:
        results.findings += gpu.findings(workload, inferred, stepped)
    if on_gpu == workload.large:
        measure_loop(workload, effort, results)


def measure_loop(workload: Workload, effort: Effort, results: Results) -> None:
    """Measure the training loop of phases 1 and 2 on the images of the demo."""
    split, by_phase = loop.emoji_subset(effort.images), {}
    workers = min(8, os.cpu_count() or 1) if workload.device.type == "cuda" else 0
    for phase in (1, 2):
        epochs = loop.training_loop(workload, phase, split, effort.rounds, workers)
        by_phase[f"phase {phase}"] = results.add(workload, f"training loop, phase {phase}", epochs)
    results.findings += loop.findings(workload, by_phase)


if __name__ == "__main__":
    main()
