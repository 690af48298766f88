"""What the processes of a run (`lptpp.utils.processes`) exchange; with one process, nothing.

All of them call each function at the same point. `Ended` is raised as soon as one of them has ended.
"""

import json
import platform
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from lptpp.utils.errors import Ended, UserError
from lptpp.utils.processes import count, group, is_main

if TYPE_CHECKING:  # importing PyTorch takes seconds
    import torch
    from torch import nn

Arrays = dict[str, "torch.Tensor"]


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
    if count() == 1:
        return
    seen = [json.loads(text) for text in _texts(json.dumps({"machine": platform.node(), **facts}))]
    for number, one in enumerate(seen):
        for name in facts:
            if one[name] != seen[0][name]:
                raise UserError(
                    f"Process {number} on {one['machine']} sees other {name} than process 0 on {seen[0]['machine']}:"
                    " all machines need the same run folder, images and settings, for example on a shared disk."
                )


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
    """Return a part as the bytes of a safetensors file; the names say the order of the tensors and their layout."""
    from safetensors.torch import save

    layouts = {name: "channels_last" if _is_channels_last(one) else "rows" for name, one in part.items()}
    places = {name: f"{place} {layouts[name]} {name}" for place, name in enumerate(part)}
    return save({places[name]: _in_rows(one) for name, one in part.items()})


def _unpacked(content: bytes) -> Arrays:
    import torch
    from safetensors.torch import load

    found = {}
    for key, one in sorted(load(content).items(), key=lambda item: int(item[0].split()[0])):
        _, layout, name = key.split(" ", 2)
        found[name] = one.contiguous(memory_format=torch.channels_last) if layout == "channels_last" else one
    return found


def _is_channels_last(tensor: "torch.Tensor") -> bool:
    import torch

    return tensor.dim() == 4 and not tensor.is_contiguous() and tensor.is_contiguous(memory_format=torch.channels_last)


def _in_rows(tensor: "torch.Tensor") -> "torch.Tensor":
    """Return a copy on the CPU that shares its memory with no other tensor."""
    import torch

    return tensor.detach().cpu().clone(memory_format=torch.contiguous_format)


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
            dist.broadcast(tensor.detach(), 0, group=group(tensor.device.type))


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
            dist.all_to_all_single(received, sent, group=group(vector.device.type))
        return received.view(count(), -1)


def reducing(module: "nn.Module") -> "nn.Module":
    """Return a module whose backward pass averages the gradients of all processes (DistributedDataParallel)."""
    if count() == 1:
        return module
    from torch.nn.parallel import DistributedDataParallel

    device = next(module.parameters()).device.type
    return DistributedDataParallel(module, process_group=group(device), find_unused_parameters=True)


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
        dist.all_gather(list(found.unbind()), tensor, group=group(tensor.device.type))
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
