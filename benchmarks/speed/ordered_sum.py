"""The time of summing gradients in shard order, against an all-reduce, for as many numbers as a run tunes.

torchrun --nproc-per-node 2 benchmarks/speed/ordered_sum.py
"""

import time
from collections.abc import Callable

import torch
import torch.distributed as dist

from lptpp.utils import exchange, processes

SIZES = {"tuned weights of LPT++ on ViT-B/16": 1_700_000, "all weights of ViT-B/16": 86_000_000}
REPEATS = 5


def seconds(work: Callable[[], object]) -> float:
    """Return the shortest time of a few runs on all processes."""
    found = []
    for _ in range(REPEATS):
        exchange.barrier()
        began = time.perf_counter()
        work()
        exchange.barrier()
        found.append(time.perf_counter() - began)
    return min(found)


def in_order(vector: torch.Tensor) -> torch.Tensor:
    """Return the sum over the processes, each of which has one shard."""
    total = exchange.OrderedSum()
    total.add(vector)
    return total.result()


def main() -> None:
    """Print both times for each size."""
    processes.join()
    for name, size in SIZES.items():
        vector = torch.randn(size)
        ordered, reduced = seconds(lambda: in_order(vector)), seconds(lambda: dist.all_reduce(vector.clone()))  # noqa: B023
        if processes.is_main():
            print(f"{name} ({size:,}): in order {1000 * ordered:.1f} ms, all-reduce {1000 * reduced:.1f} ms")
    processes.stop()


if __name__ == "__main__":
    main()
