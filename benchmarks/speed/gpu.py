"""ViT-B/16 on a GPU: the share of its measured bfloat16 matmul rate, and training on JPEG files against bare steps.

Steps run as the package runs them, with the frozen tower in bfloat16, and once more with torch.compile.
"""

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import cycle, islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.speed import loop
from benchmarks.speed.goals import Finding
from benchmarks.speed.steps import forward, step
from benchmarks.speed.timing import Case, Measurement, measure
from benchmarks.speed.workload import Workload, precisions
from lptpp.config import Settings
from lptpp.data.dataset import Split
from lptpp.models.held import hold_in_bf16

PLAIN, COMPILED = "as it is", "torch.compile"
GOALS = {"inference": "gpu inference", "phase 2": "gpu training"}
FILES, SIZE = 256, (500, 375)  # JPEG files, which an epoch names many times; width and height
Run = Callable[[], None]


def held(workload: Workload) -> Workload:
    """Store the frozen tower of a workload in bfloat16 if that is the default precision; return the workload."""
    if "bfloat16" in precisions(workload.device):
        hold_in_bf16(workload.expert.encoder.tower)
    return workload


class Section(NamedTuple):
    """Inference or the steps of a phase: measured as it is and compiled, and the floating-point operations of a run."""

    name: str
    measured: dict[str, Measurement]
    operations: int


def sections(workload: Workload, rounds: int, compiled: Callable[[Any], Any] = torch.compile) -> Iterator[Section]:
    """Measure inference and steps of each phase at the default precision, one after the other."""
    context, expert = list(precisions(workload.device).values())[-1], workload.expert.requires_grad_(False)
    made: dict[str, tuple[Any, Callable[[Any], Run]]] = {
        "inference": (expert.forward, lambda form: forward(workload, form, context)),
        "phase 1": (expert.phase1, lambda form: step(workload, Settings().phase1, 1, context, form)),
        "phase 2": (expert.forward, lambda form: step(workload, Settings().phase2, 2, context, form)),
    }
    for name, (form, run) in made.items():
        runs, images = {PLAIN: run(form), COMPILED: run(compiled(form))}, len(workload.images)
        cases = [Case(kind, one, images) for kind, one in runs.items()]
        found = measure(f"{workload.label}: {name}", cases, workload.device, rounds)
        yield Section(name, found, operations(runs[PLAIN]))


def shares(workload: Workload, found: Sequence[Section], width: int) -> Iterator[Finding]:
    """Yield the shares of the matmul rate that inference and phase-2 steps reach."""
    rate = matmul_rate(workload.device, width)
    for one in found:
        if one.name in GOALS:
            values = {form: 100 * one.operations / took.median / rate for form, took in one.measured.items()}
            yield Finding(GOALS[one.name], workload.label, values, f"of {rate / 1e12:.3g} TFLOP/s")


def photos(folder: Path, images: int) -> Split:
    """Write JPEG files and return a training split of so many images that names them in turn."""
    generator = np.random.default_rng(0)
    for place in range(FILES):
        file, drawn = io.BytesIO(), generator.integers(0, 255, (30, 40, 3), dtype=np.uint8)
        Image.fromarray(drawn).resize(SIZE, Image.Resampling.BICUBIC).save(file, "JPEG", quality=90)
        (folder / f"{place}.jpg").write_bytes(file.getvalue())
    paths = list(islice(cycle(folder / f"{place}.jpg" for place in range(FILES)), images))
    return Split(paths, np.arange(images) % 100)


def on_photos(workload: Workload, folder: Path, images: int, rounds: int) -> dict[str, Measurement]:
    """Measure epochs of phase 2 on JPEG files with `workers=auto`, the loader alone, and as many bare steps."""
    loading = loop.Loading.of_files(workload.device, images)
    return loop.training_loop(workload, 2, photos(folder, images), rounds, loading)


def loop_finding(workload: Workload, found: Mapping[str, Measurement]) -> Finding:
    """Return the speed of training on files relative to bare steps."""
    rates = ", ".join(f"{name}: {one.images_per_second:.0f} images/s" for name, one in found.items())
    share = found["loop"].images_per_second / found["bare steps"].images_per_second
    return Finding("gpu loop", workload.label, {"": share}, rates)


def without_gpu() -> Iterator[Finding]:
    """Yield the goals that require a GPU, as not measured."""
    for goal in (*GOALS.values(), "gpu loop"):
        yield Finding(goal, "vit_base_patch16_224", note="no GPU")


def matmul_rate(device: torch.device, width: int, rounds: int = 20) -> float:
    """Return the floating-point operations per second of square bfloat16 products, the median over `rounds`."""
    left, right = (torch.randn(width, width, device=device, dtype=torch.bfloat16) for _ in range(2))
    case = Case("product", lambda: [left @ right for _ in range(10)], 10)
    products = measure(f"{width} × {width} bfloat16 products", [case], device, rounds)["product"]
    return 2 * width**3 * products.images_per_second


def operations(run: Callable[[], object]) -> int:
    """Return the floating-point operations of one run: matmuls, convolutions and attention, forward and backward."""
    with FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops()
