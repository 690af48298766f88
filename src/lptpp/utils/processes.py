"""The processes of a run, started by torchrun or `accelerate launch`; only this and `exchange` know torch.distributed.

Before `start`, and in a command that never calls it, this process is the only one: rank 0 of 1.
"""

import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import islice
from typing import Any, TypeVar

from lptpp.utils.errors import UserError
from lptpp.utils.text import counted

Item = TypeVar("Item")
PATIENCE = timedelta(days=30)  # of a process that waits: a lost connection is an error at once, however long this is
DEVICE_PATIENCE = timedelta(seconds=25)  # of NCCL, which does not see that another process has died
REPORT = "lptpp/report"
HEARD = 5.0  # seconds within which a process that ends has told the user why
LAUNCHER = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")  # what torchrun and accelerate set
MPI = ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE")  # what srun and mpirun set, and accelerate reads


@dataclass
class _Processes:
    """What `start` found."""

    rank: int = 0
    count: int = 1
    store: Any = None
    group: Any = None  # gloo
    silent: bool = False  # of those that work apart
    device_groups: dict[str, Any] = field(default_factory=dict)  # NCCL


_known = _Processes()


def stop() -> None:
    """Leave the other processes, at the end of a command."""
    if _known.group is None:
        return
    import torch.distributed as dist

    dist.destroy_process_group()
    _known.rank, _known.count, _known.store, _known.group = 0, 1, None, None
    _known.device_groups.clear()


def launched() -> int:
    """Return how many processes a launcher started for this command; 1 without a launcher."""
    return int(os.environ["WORLD_SIZE"]) if "RANK" in os.environ and "WORLD_SIZE" in os.environ else 1


def refuse_many(command: str) -> None:
    """Raise `UserError` if a launcher started several processes for a command that runs in one."""
    if launched() > 1:
        raise UserError(f"`lptpp {command}` runs in one process: start it without torchrun or accelerate launch.")


def apart() -> None:
    """Let each process of a launcher work on its own, on its GPU; the first one on the machine shows progress.

    Raises:
        UserError: this machine has GPUs, but fewer than processes.
    """
    if launched() > 1:
        _take_place(int(os.environ.get("LOCAL_RANK", 0)))
    for name in (*LAUNCHER, *MPI):
        os.environ.pop(name, None)


def _take_place(place: int) -> None:
    import torch

    gpus = torch.cuda.device_count()
    if 0 < gpus <= place:
        raise UserError(f"This machine has {counted(gpus, 'GPU')}, and more processes: start one process per GPU.")
    if gpus:
        visible = os.environ.get("CUDA_VISIBLE_DEVICES") or ",".join(map(str, range(gpus)))
        os.environ["CUDA_VISIBLE_DEVICES"] = visible.split(",")[place]
    if place:
        _known.silent = True
        logging.getLogger("lptpp").setLevel(logging.WARNING)


def start(shards: int) -> None:
    """Join the other processes of the launcher, as `join`.

    Raises:
        UserError: their number does not divide `shards`.
    """
    join()
    count = _known.count
    if shards % count:
        advice = f"shards={count}" if shards == 1 else f"a number of processes that divides {shards}"
        raise UserError(f"{count} processes cannot share shards={shards}: set {advice}.")


def join() -> None:
    """Join the other processes of the launcher, if there are any; a second call does nothing."""
    if launched() == 1 or _known.group is not None:
        return
    import torch.distributed as dist  # here, as importing PyTorch takes seconds and the terminal asks this module too
    from torch.distributed.rendezvous import rendezvous

    if dist.is_initialized():  # by the script that calls `lptpp.fit`
        rank, count = dist.get_rank(), dist.get_world_size()
        _known.group = dist.new_group(backend="gloo", timeout=PATIENCE)
    else:
        _known.store, rank, count = next(iter(rendezvous("env://")))
        dist.init_process_group(
            "gloo", store=dist.PrefixStore("lptpp", _known.store), rank=rank, world_size=count, timeout=PATIENCE
        )
        _known.group = dist.group.WORLD
    _known.rank, _known.count = rank, count
    if rank:
        logging.getLogger("lptpp").setLevel(logging.CRITICAL)  # rank 0 says everything once


def rank() -> int:
    """Return the number of this process, from 0."""
    return _known.rank


def count() -> int:
    """Return the number of processes."""
    return _known.count


def is_main() -> bool:
    """Return whether this process is the one that writes files and prints."""
    return _known.rank == 0


def shows_progress() -> bool:
    """Return whether this process shows progress: the main one, or the first on this machine of those `apart`."""
    return is_main() and not _known.silent


def local_count() -> int:
    """Return how many of the processes run on this machine."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", 1)) if _known.group is not None else 1


def cores() -> int:
    """Return the cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def group(device: str) -> Any:
    """Return the group for tensors of a type of device; all processes ask for it at the same time."""
    if device == "cpu":
        return _known.group
    import torch.distributed as dist

    if device not in _known.device_groups:
        _known.device_groups[device] = dist.new_group(backend="nccl", timeout=DEVICE_PATIENCE)
    return _known.device_groups[device]


@contextmanager
def alone() -> Iterator[None]:
    """Let this process do something without the others: within the block it is the only one."""
    before = _known.rank, _known.count
    _known.rank, _known.count = 0, 1
    try:
        yield
    finally:
        _known.rank, _known.count = before


def own(items: Sequence[Item] | Iterable[Item]) -> Iterator[Item]:
    """Return every N-th item, from the rank on: what this of N processes works on."""
    return islice(items, rank(), None, count())


def own_rows(rows: Sequence[Item], size: int) -> Sequence[Item]:
    """Return the rows of the batches of `size` that this process works on: whole ones, every N-th."""
    if count() == 1:
        return rows
    return [row for start in own(range(0, len(rows), size)) for row in rows[start : start + size]]


def first_to_report(wait: float = 0.0) -> bool:
    """Return whether no other process has told the user why the run ends, after waiting some seconds for it."""
    if _known.store is None:
        return int(os.environ.get("RANK", 0)) == 0 or launched() == 1
    try:
        if wait:
            _known.store.wait([REPORT], timedelta(seconds=wait))
            return False
    except RuntimeError:
        pass  # nobody has
    try:
        return bool(_known.store.add(REPORT, 1) == 1)
    except RuntimeError:  # the process that has the store, rank 0 without torchrun, is gone
        return wait > 0
