"""The speed of lptpp against its goals: the floor, the published form, and ours, side by side in one process.

    python benchmarks/speed.py --quick                         (under 2 minutes on 2 cores: the bundled visual tower)
    python benchmarks/speed.py --json speed.json               (ten minutes: both bundled towers, ViT-B/16, the demo)
    python benchmarks/speed.py --backbone vit_base --device cuda
    python benchmarks/speed.py --quick --demo runs/emoji       (the demo's times from a run that is there already)

The floor is one forward of the frozen backbone, nothing added. The published form concatenates prompts, runs each
block on all tokens, and makes a full pass for the query and another for the features (published.py). The cases of a
section run in turns, so that what slows the machine for a while hits all alike; a ratio is the median over rounds.
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

import card_speed
import fit_speed
import loop_speed
import model_speed
import sampler_speed
from goals import Finding
from lptpp.utils.errors import UserError
from lptpp.utils.io import write_json
from machine import PEAK_MEMORY, stamp
from speed_tables import show
from subject import Subject, bundled, vit_base
from timing import Measured


@dataclass(frozen=True)
class Effort:
    """How much is measured."""

    rounds: int  # of every section
    batch: int  # images of a step on the bundled towers
    vit_batch: int  # images of a step on ViT-B/16
    pictures: int  # real ones of the training loop


QUICK = Effort(rounds=3, batch=64, vit_batch=2, pictures=256)
FULL = {
    "cpu": Effort(rounds=5, batch=128, vit_batch=4, pictures=1024),
    "cuda": Effort(rounds=30, batch=512, vit_batch=128, pictures=1024),
}
SAMPLES = (10_000_000, 8_142)  # images and classes of the sampler's section


@dataclass
class Results:
    """What was measured: every case by section, and what the cases say of the goals."""

    cases: list[dict[str, Any]] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    sizes: dict[str, dict[str, int]] = field(default_factory=dict)

    def add(self, subject: Subject, section: str, measured: dict[str, Measured]) -> dict[str, Measured]:
        """Keep the cases of a section; return them."""
        self.sizes[subject.label] = subject.sizes
        for name, one in measured.items():
            numbers = {"median_seconds": one.median, "images_a_second": one.images_a_second}
            self.cases.append({"on": subject.label, "section": section, "case": name, **asdict(one), **numbers})
        return measured


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print the tables, write the JSON."""
    options = parsed(arguments)
    try:
        report = measured(options)
    except UserError as error:
        sys.exit(f"speed.py: {error}")
    show(report, Console(width=None if sys.stdout.isatty() else 200))
    if options.json is not None:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        write_json(options.json, report)


def parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer rounds, smaller batches, no whole demo")
    parser.add_argument("--json", type=Path, help="a file for every number, the machine and the command")
    parser.add_argument("--backbone", choices=("bundled", "vit_base", "all"), help="all; with --quick, bundled")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="CPU, and a GPU if there")
    parser.add_argument("--demo", type=Path, help="a run folder of configs/emoji.yaml to take the demo's times from")
    options = parser.parse_args(arguments)
    options.backbone = options.backbone or ("bundled" if options.quick else "all")
    return options


def measured(options: argparse.Namespace) -> dict[str, Any]:
    """Run all sections; return every number, the machine and the command.

    Raises `UserError` where there is no such device, or where a run folder does not tell the demo's times.
    """
    devices, results = devices_of(options.device), Results()
    fit_speed.check(options.demo)
    for device in devices:
        effort = QUICK if options.quick and device.type == "cpu" else FULL[device.type]
        for subject in subjects(options, effort, device):
            measure_subject(subject, effort, options.quick, results)
    results.findings += list(card_speed.without_card()) if len(devices) == 1 and devices[0].type == "cpu" else []
    results.findings += sampler_speed.findings(*SAMPLES)
    with tempfile.TemporaryDirectory() as scratch:
        results.findings += fit_speed.findings(options.quick, options.demo, Path(scratch))
    return {
        "command": " ".join(["python", *sys.argv]),
        "machine": stamp(devices[-1]),
        "peak_memory": {device.type: PEAK_MEMORY[device.type] for device in devices},
        "sizes": results.sizes,
        "goals": [finding.plain() for finding in results.findings],
        "cases": results.cases,
    }


def devices_of(name: str) -> list[torch.device]:
    """Return the devices to measure on; `auto` is the CPU, and a GPU where there is one."""
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError("--device cuda: there is no GPU here that PyTorch can use; take --device cpu.")
    names = [name] if name != "auto" else ["cpu"] + ["cuda"] * torch.cuda.is_available()
    return [torch.device(one) for one in names]


def subjects(options: argparse.Namespace, effort: Effort, device: torch.device) -> Iterator[Subject]:
    """Yield what is measured on a device, one after the other, so that one alone is in memory."""
    if options.backbone != "vit_base":
        names = ("visual",) if options.quick else ("visual", "language")
        yield from (bundled(name, effort.batch, device) for name in names)
    if options.backbone != "bundled":
        yield vit_base(effort.vit_batch, device)


def measure_subject(subject: Subject, effort: Effort, quick: bool, results: Results) -> None:
    """Measure inference and steps of one subject, and where real pictures are the question, the loop."""
    rounds, on_gpu = effort.rounds, subject.device.type == "cuda"
    inferred = results.add(subject, "inference", model_speed.inference(subject, 3 * rounds))  # short: noisier alone
    results.findings += model_speed.inference_findings(subject, inferred)
    if quick and subject.large and not on_gpu:
        return  # its steps take minutes
    results.add(subject, "phase-1 step", model_speed.phase1_step(subject, rounds))
    stepped = results.add(subject, "phase-2 step", model_speed.phase2_step(subject, rounds))
    results.findings += model_speed.step_findings(subject, stepped)
    if on_gpu and subject.large:
        results.findings += card_speed.findings(subject, inferred, stepped)
    if on_gpu == subject.large:
        measure_loop(subject, effort, results)


def measure_loop(subject: Subject, effort: Effort, results: Results) -> None:
    """Measure the training loop of phases 1 and 2 on the demo's pictures."""
    split, by_phase = loop_speed.emoji_part(effort.pictures), {}
    workers = min(8, os.cpu_count() or 1) if subject.device.type == "cuda" else 0
    for phase in (1, 2):
        epochs = loop_speed.training_loop(subject, phase, split, effort.rounds, workers)
        by_phase[f"phase {phase}"] = results.add(subject, f"training loop, phase {phase}", epochs)
    results.findings += loop_speed.findings(subject, by_phase)


if __name__ == "__main__":
    main()
