"""What the time of one step goes into: shares of the kinds of operations, on both bundled towers.

    python -m benchmarks.speed.profile              (a minute on one core)

Inference, a phase-1 step and a phase-2 step on images, and the same on feature maps of the stem, as training with
`augmentation.cached_views` sees them; at the default precision.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import torch
from rich.table import Table
from torch.profiler import ProfilerActivity, profile

from benchmarks.speed.steps import forward, step
from benchmarks.speed.timing import seconds_of
from benchmarks.speed.workload import Workload, bundled, precisions
from lptpp.config import Settings
from lptpp.utils.progress import console

KINDS = {
    "products": ("mm", "linear", "bmm", "matmul", "addmm", "onednn", "mkldnn_linear"),
    "convolutions": ("convolution", "conv"),
    "attention": ("attention", "softmax"),
    "norms": ("norm",),
    "activations": ("gelu", "relu", "hardtanh", "clamp"),
    "copies": ("copy", "cat", "contiguous", "clone", "index", "to_copy"),
}


def main() -> None:
    """Print a table for each tower."""
    for name in ("visual", "language"):
        images = bundled(name, 64, torch.device("cpu"))
        table = Table("step", "ms per image", *KINDS, "other", title=f"{name} tower: shares of CPU time in %")
        for title, run in steps(images):
            table.add_row(title, *row(run, len(images.images)))
        console.print(table)


def steps(workload: Workload) -> Iterator[tuple[str, Callable[[], None]]]:
    """Yield the steps by title, each on images and on feature maps."""
    *_, context = precisions(workload.device).values()
    tower: Any = workload.expert.encoder.tower
    with torch.no_grad(), context():
        maps = tower.patch_embed.maps(workload.images).float()
    for title, one in {"": workload, " on maps": replace(workload, images=maps)}.items():
        expert = one.expert
        yield f"inference{title}", forward(one, expert, context)
        yield f"phase 1{title}", step(one, Settings().phase1, 1, context, expert.phase1)
        yield f"phase 2{title}", step(one, Settings().phase2, 2, context, expert.forward)


def row(run: Callable[[], None], images: int) -> list[str]:
    """Return milliseconds per image and the share of each kind in %."""
    run()
    seconds = min(seconds_of(run, torch.device("cpu")) for _ in range(3))
    with profile(activities=[ProfilerActivity.CPU]) as found:
        run()
    shares: Counter[str] = Counter()
    for event in found.key_averages():
        shares[kind(event.key)] += event.self_cpu_time_total
    total = shares.total()
    return [f"{1000 * seconds / images:.2f}", *(f"{100 * shares[one] / total:.0f}" for one in (*KINDS, "other"))]


def kind(operation: str) -> str:
    """Return the kind of an operation, such as "aten::addmm"."""
    name = operation.removeprefix("aten::").removeprefix("autograd::engine::evaluate_function: ").lower()
    return next((one for one, words in KINDS.items() if any(word in name for word in words)), "other")


if __name__ == "__main__":
    main()
