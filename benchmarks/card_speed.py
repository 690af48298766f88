"""How much of what a card can do ViT-B/16 gets out of it: against the measured rate of a large bfloat16 product."""

from collections.abc import Callable, Iterator, Mapping

import torch
from torch.utils.flop_counter import FlopCounterMode

from goals import Finding
from lptpp.config import Settings
from model_speed import forward, step
from subject import Subject, precisions
from timing import Case, Measured, measure


def findings(
    subject: Subject, inferred: Mapping[str, Measured], stepped: Mapping[str, Measured], width: int = 8192
) -> Iterator[Finding]:
    """Yield the shares of the card's rate that our inference and our phase-2 step reach at the default precision."""
    rate = matmul_rate(subject.device, width)
    name, context = list(precisions(subject.device).items())[-1]
    runs = {
        "gpu inference": (forward(subject, subject.expert, context), inferred),
        "gpu training": (step(subject, Settings().phase2, 2, context, subject.expert.forward), stepped),
    }
    for goal, (run, measured) in runs.items():
        reached = operations(run) / measured[f"ours, {name}"].median
        yield Finding(goal, subject.label, {"": 100 * reached / rate}, f"of {rate / 1e12:.3g} TFLOP/s")


def without_card() -> Iterator[Finding]:
    """Yield the goals that only a GPU can tell of."""
    for goal in ("gpu inference", "gpu training"):
        yield Finding(goal, "vit_base_patch16_224", note="no GPU here")


def matmul_rate(device: torch.device, width: int, rounds: int = 20) -> float:
    """Return the floating-point operations a second of square bfloat16 products, the median of `rounds`."""
    left, right = (torch.randn(width, width, device=device, dtype=torch.bfloat16) for _ in range(2))
    case = Case("product", lambda: [left @ right for _ in range(10)], 10)
    products = measure(f"{width} × {width} bfloat16 products", [case], device, rounds)["product"]
    return 2 * width**3 * products.images_a_second


def operations(run: Callable[[], object]) -> int:
    """Return the floating-point operations of one run: its products, convolutions and attentions, both ways."""
    with FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops()
