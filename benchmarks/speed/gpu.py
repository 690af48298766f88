"""The share of the measured bfloat16 matmul rate of a GPU that ViT-B/16 reaches."""

from collections.abc import Callable, Iterator, Mapping

import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.speed.goals import Finding
from benchmarks.speed.steps import forward, step
from benchmarks.speed.timing import Case, Measurement, measure
from benchmarks.speed.workload import Workload, precisions
from lptpp.config import Settings


def findings(
    workload: Workload, inferred: Mapping[str, Measurement], stepped: Mapping[str, Measurement], width: int = 8192
) -> Iterator[Finding]:
    """Yield the shares that inference and phase-2 steps reach at the default precision."""
    rate = matmul_rate(workload.device, width)
    name, context = list(precisions(workload.device).items())[-1]
    runs = {
        "gpu inference": (forward(workload, workload.expert, context), inferred),
        "gpu training": (step(workload, Settings().phase2, 2, context, workload.expert.forward), stepped),
    }
    for goal, (run, measured) in runs.items():
        reached = operations(run) / measured[f"ours, {name}"].median
        yield Finding(goal, workload.label, {"": 100 * reached / rate}, f"of {rate / 1e12:.3g} TFLOP/s")


def without_gpu() -> Iterator[Finding]:
    """Yield the goals that require a GPU, as not measured."""
    for goal in ("gpu inference", "gpu training"):
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
