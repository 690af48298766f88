"""The processes of a run, started by torchrun or `accelerate launch`: the only module that knows torch.distributed.

Before `start`, and in a command that never calls it, this process is the only one: rank 0 of 1.
"""

import json
import logging
import os
import platform
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from lptpp.utils.errors import Ended, UserError

if TYPE_CHECKING:  # importing PyTorch takes seconds, and the terminal asks this module too
    import torch
    from torch import nn

Item = TypeVar("Item")
Arrays = dict[str, "torch.Tensor"]
PATIENCE = timedelta(days=30)  # of a process that waits: a lost connection is an error at once, however long this is
DEVICE_PATIENCE = timedelta(seconds=25)  # of NCCL, which does not see that another process has died
REPORT = "lptpp/report"


@dataclass
class _Processes:
    """What `start` found."""

    rank: int = 0
    count: int = 1
    store: Any = None
    group: Any = None  # gloo
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
    import torch.distributed as dist
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


def local_count() -> int:
    """Return how many of the processes run on this machine."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", 1)) if _known.group is not None else 1


@contextmanager
def alone() -> Iterator[None]:
    """Let this process do something without the others: within the block it is the only one."""
    before = _known.rank, _known.count
    _known.rank, _known.count = 0, 1
    try:
        yield
    finally:
        _known.rank, _known.count = before


@contextmanager
def main_first() -> Iterator[None]:
    """Run the block in the main process, then in all others."""
    if not is_main():
        barrier()
    yield
    if is_main():
        barrier()


def barrier() -> None:
    """Wait until all processes are here."""
    any_of(False)


def any_of(flag: bool) -> bool:
    """Return whether the flag is set in any process."""
    if count() == 1:
        return flag
    import torch

    return any(bool(one) for one in _gathered(torch.tensor([flag])))


def from_main(value: Any) -> Any:
    """Return the value that the main process gives, on all of them; it consists of plain JSON values."""
    if count() == 1:
        return value
    return json.loads(_texts(json.dumps(value) if is_main() else "")[0])


def agree(facts: Mapping[str, str]) -> None:
    """Check that all processes see the same: for each name a text that says what this one sees.

    Raises:
        UserError: two processes differ; the message names the fact and the machine.
    """
    seen = [json.loads(text) for text in _texts(json.dumps({"machine": platform.node(), **facts}))]
    for number, one in enumerate(seen):
        for name in facts:
            if one[name] != seen[0][name]:
                raise UserError(
                    f"Process {number} on {one['machine']} sees other {name} than process 0 on {seen[0]['machine']}:"
                    " all machines need the same run folder, images and settings, for example on a shared disk."
                )


def own(items: Sequence[Item] | Iterable[Item]) -> Iterator[Item]:
    """Return every N-th item, from the rank on: what this of N processes works on."""
    return islice(items, rank(), None, count())


def own_rows(rows: Sequence[Item], size: int) -> Sequence[Item]:
    """Return the rows of the batches of `size` that this process works on: whole ones, every N-th."""
    if count() == 1:
        return rows
    return [row for start in own(range(0, len(rows), size)) for row in rows[start : start + size]]


def in_order(parts: Iterable[Arrays]) -> Iterator[Arrays]:
    """Yield the parts of all processes on each of them, in order; each gives those of its `own` batches or rows."""
    if count() == 1:
        return iter(parts)
    return map(_unpacked, _contents_in_order(map(_packed, parts)))


def values_in_order(parts: Iterable[Any]) -> Iterator[Any]:
    """Yield parts as `in_order`; they consist of plain JSON values."""
    if count() == 1:
        return iter(parts)
    return map(json.loads, _contents_in_order(json.dumps(part).encode() for part in parts))


def _contents_in_order(parts: Iterable[bytes]) -> Iterator[bytes]:
    remaining = iter(parts)
    while True:
        for content in _contents(next(remaining, b"")):
            if not content:  # the first process that has none left
                return
            yield content


def _packed(part: Arrays) -> bytes:
    from safetensors.torch import save

    return save({f"{place} {name}": one.detach().cpu().clone() for place, (name, one) in enumerate(part.items())})


def _unpacked(content: bytes) -> Arrays:
    from safetensors.torch import load

    found = sorted(load(content).items(), key=lambda one: int(one[0].split()[0]))  # in the order they were given
    return {name.split(" ", 1)[1]: one for name, one in found}


def mean(scalar: "torch.Tensor") -> "torch.Tensor":
    """Return the mean of the scalars of all processes."""
    return _gathered(scalar.reshape(1)).mean()


def broadcast(tensors: Iterable["torch.Tensor"]) -> None:
    """Copy tensors of the main process into those of the others."""
    if count() == 1:
        return
    import torch.distributed as dist

    for tensor in tensors:
        with _with_all(tensor.device.type):
            dist.broadcast(tensor.detach(), 0, group=_group(tensor.device.type))


class OrderedSum:
    """The sum of S vectors, one per shard, in the order of the shards: process r of N adds those of r, r + N, …

    Each process sums a part of the elements for all, so that as little is sent as by an all-reduce, and every element
    is the same sequence of additions for any N.
    """

    def __init__(self) -> None:
        self.total: torch.Tensor | None = None  # (⌈P / N⌉,)
        self.length = 0  # P

    def add(self, vector: "torch.Tensor") -> None:
        """Add a vector (P,) of this process; all add theirs at the same time."""
        self.length = len(vector)
        for row in self._dealt(vector):
            self.total = row.clone() if self.total is None else self.total.add_(row)

    def result(self) -> "torch.Tensor":
        """Return the sum, (P,), on every process."""
        assert self.total is not None
        return _gathered(self.total).flatten()[: self.length]

    def _dealt(self, vector: "torch.Tensor") -> "torch.Tensor":
        """Return the part that this process sums of the vectors of all, (N, ⌈P / N⌉)."""
        if count() == 1:
            return vector[None]
        import torch
        import torch.distributed as dist

        sent = torch.nn.functional.pad(vector, (0, -len(vector) % count()))
        received = torch.empty_like(sent)
        with _with_all(vector.device.type):
            dist.all_to_all_single(received, sent, group=_group(vector.device.type))
        return received.view(count(), -1)


def reducing(module: "nn.Module") -> "nn.Module":
    """Return a module whose backward pass averages the gradients of all processes (DistributedDataParallel)."""
    if count() == 1:
        return module
    from torch.nn.parallel import DistributedDataParallel

    device = next(module.parameters()).device.type
    return DistributedDataParallel(module, process_group=_group(device), find_unused_parameters=True)


@contextmanager
def exchanging(module: Any, wanted: bool, device: str) -> Iterator[None]:
    """Let the backward pass of a `reducing` module exchange gradients in the block if it is `wanted`.

    Raises `Ended` as every exchange. Other modules exchange nothing.
    """
    if not hasattr(module, "no_sync"):
        yield
    elif wanted:
        with _with_all(device):
            yield
    else:
        with module.no_sync():
            yield


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
    except RuntimeError:  # the machine of the store is gone
        return True


def _group(device: str) -> Any:
    """Return the group for tensors of a type of device; all processes ask for it at the same time."""
    if device == "cpu":
        return _known.group
    import torch.distributed as dist

    if device not in _known.device_groups:
        _known.device_groups[device] = dist.new_group(backend="nccl", timeout=DEVICE_PATIENCE)
    return _known.device_groups[device]


@contextmanager
def _with_all(device: str) -> Iterator[None]:
    if device != "cpu":
        barrier()  # gloo sees a lost connection at once, so NCCL never waits for a process that is gone
    try:
        yield
    except RuntimeError as error:  # of gloo or NCCL
        raise Ended(str(error).splitlines()[0]) from error


def _gathered(tensor: "torch.Tensor") -> "torch.Tensor":
    """Return the tensors (n,) of all processes, equally long, (N, n)."""
    if count() == 1:
        return tensor[None]
    import torch
    import torch.distributed as dist

    found = torch.empty(count(), *tensor.shape, dtype=tensor.dtype, device=tensor.device)
    with _with_all(tensor.device.type):
        dist.all_gather(list(found.unbind()), tensor, group=_group(tensor.device.type))
    return found


def _contents(content: bytes) -> Iterator[bytes]:
    """Yield the bytes that each process gives, in order."""
    import torch

    lengths = _gathered(torch.tensor([len(content)]))[:, 0].tolist()
    padded = torch.zeros(max(lengths), dtype=torch.uint8)
    padded[: len(content)] = torch.frombuffer(bytearray(content), dtype=torch.uint8) if content else 0
    for length, row in zip(lengths, _gathered(padded), strict=True):
        yield row[:length].numpy().tobytes()


def _texts(text: str) -> list[str]:
    return [content.decode() for content in _contents(text.encode())]
