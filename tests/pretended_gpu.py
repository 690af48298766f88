"""A pretended GPU: tensors that claim to be on cuda:0 and compute on the CPU.

As on a real one, a product of tensors on two devices fails, and so does NumPy on a tensor of the GPU. Autocast for cuda
is that of the CPU. Page-locked memory, streams and NCCL are not pretended.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Never
from unittest import mock

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map, tree_unflatten

CUDA, CPU = torch.device("cuda", 0), torch.device("cpu")
BOTH = ("index", "index_put_", "_index_put_impl_")  # operations that read a tensor of the GPU at places from the CPU
_to, _one_hot = torch.Tensor.to, torch.nn.functional.one_hot
_enabled, _type = torch.is_autocast_enabled, torch.get_autocast_dtype


class OnGPU(torch.Tensor):
    """A tensor on the pretended GPU, which another one holds."""

    is_cuda, is_cpu = True, False

    @staticmethod
    def __new__(cls, held: torch.Tensor) -> "OnGPU":
        size, strides, offset = held.size(), held.stride(), held.storage_offset()
        return torch.Tensor._make_wrapper_subclass(
            cls, size, strides=strides, storage_offset=offset, dtype=held.dtype, layout=held.layout, device=CPU
        )

    def __init__(self, held: torch.Tensor) -> None:
        self.held = held

    @property
    def device(self) -> torch.device:
        return CUDA

    def cpu(self, memory_format: Any = None) -> torch.Tensor:
        assert not (self.requires_grad and torch.is_grad_enabled()), "gradients do not cross devices here"
        return self.held.detach().clone()

    def tolist(self) -> Any:
        return self.held.tolist()

    def numpy(self, **options: Any) -> Never:
        raise TypeError("can't convert cuda:0 device type tensor to numpy")

    __array__ = numpy

    @classmethod
    def __torch_dispatch__(cls, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(operation, args, kwargs or {})


class _Everywhere(TorchDispatchMode):
    """Also runs what makes a tensor on the GPU from none."""

    def __torch_dispatch__(self, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(operation, args, kwargs or {})


def _run(operation: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    flat, form = tree_flatten((args, kwargs))
    tensors = [one for one in flat if isinstance(one, torch.Tensor)]
    ours = [one for one in tensors if isinstance(one, OnGPU)]
    name = operation.overloadpacket.__name__
    crossing = name == "copy_" or (name in BOTH and isinstance(tensors[0], OnGPU))
    if ours and not crossing and any(one.dim() and not isinstance(one, OnGPU) for one in tensors):
        raise RuntimeError(f"{operation}: expected all tensors to be on the same device, found cuda:0 and cpu")
    known = {id(one.held): one for one in ours}
    args_here, kwargs_here = tree_unflatten([_here(one) for one in flat], form)
    if wanted := kwargs.get("device"):
        kwargs_here = {**kwargs_here, "device": CPU, "pin_memory": None}
    found = operation(*args_here, **{key: value for key, value in kwargs_here.items() if value is not None})
    if name == "copy_":
        return args[0]
    if not ours and (wanted is None or torch.device(wanted).type == "cpu"):
        return found
    copied = name == "_to_copy"
    return tree_map(lambda one: _there(one.clone() if copied else one, known), found)


def _here(one: Any) -> Any:
    return one.held if isinstance(one, OnGPU) else one


def _there(one: Any, known: dict[int, OnGPU]) -> Any:
    return known.get(id(one), OnGPU(one)) if isinstance(one, torch.Tensor) else one


def _moved(module: nn.Module, *args: Any, **kwargs: Any) -> nn.Module:
    """Move a module as `nn.Module.to`."""
    device, dtype, _, _ = torch._C._nn._parse_to(*args, **kwargs)
    for part in module.modules():
        for held in (part._parameters, part._buffers):
            for name, one in held.items():
                if one is not None and not _is_there(one, device, dtype):
                    floating = one.is_floating_point()
                    new = one.detach().to(device or one.device, dtype if floating else one.dtype)
                    held[name] = nn.Parameter(new, one.requires_grad) if isinstance(one, nn.Parameter) else new
    return module


def _is_there(one: torch.Tensor, device: torch.device | None, dtype: torch.dtype | None) -> bool:
    fits = dtype in (None, one.dtype) or not one.is_floating_point()
    return fits and (device is None or device.type == one.device.type)


def _tensor_to(one: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
    """Return a tensor elsewhere as `Tensor.to`."""
    if args and isinstance(args[0], torch.Tensor):
        args = (args[0].device, args[0].dtype, *args[1:])
    named = [kwargs.pop("device", None), *(arg for arg in args if isinstance(arg, str | torch.device))]
    rest = [arg for arg in args if not isinstance(arg, str | torch.device)]
    devices = [torch.device(name) for name in named if name is not None]
    if not devices:
        return _to(one, *rest, **kwargs)
    if isinstance(one, OnGPU):
        kept = one.cpu() if devices[0].type == "cpu" else one
        return _to(kept, *rest, **kwargs) if rest or kwargs else kept
    return _to(one, CUDA if devices[0].type == "cuda" else devices[0], *rest, **kwargs)


def _classes(labels: torch.Tensor, classes: int = -1) -> torch.Tensor:
    return OnGPU(_one_hot(labels.held, classes)) if isinstance(labels, OnGPU) else _one_hot(labels, classes)


class _Autocast(torch.autocast):
    def __init__(self, device_type: str, *args: Any, **kwargs: Any) -> None:
        super().__init__("cpu" if device_type == "cuda" else device_type, *args, **kwargs)


def _storage(one: torch.Tensor) -> int:
    return id(one.held) if isinstance(one, OnGPU) else one.untyped_storage().data_ptr()


PRETENDED = {
    "torch.cuda.is_available": lambda: True,
    "torch.cuda.device_count": lambda: 1,
    "torch.cuda.is_bf16_supported": lambda including_emulation=True: True,
    "torch.cuda.get_device_name": lambda device=None: "pretended GPU",
    "torch.cuda._lazy_init": lambda: None,
    "torch.cuda.manual_seed_all": lambda seed: None,
    "torch.cuda.empty_cache": lambda: None,
    "torch.optim.Optimizer._accelerator_graph_capture_health_check": lambda optimizer: None,
    "torch.optim.Optimizer._cuda_graph_capture_health_check": lambda optimizer: None,
    "torch.is_autocast_enabled": lambda device="cuda": _enabled("cpu"),
    "torch.get_autocast_dtype": lambda device: _type("cpu"),
    "torch.autocast": _Autocast,
    "torch.amp.autocast": _Autocast,
    "torch.nn.functional.one_hot": _classes,
    "torch.Tensor.to": _tensor_to,
    "torch.nn.Module.to": _moved,
    "safetensors.torch.storage_ptr": _storage,
}


@contextmanager
def pretended_gpu() -> Iterator[None]:
    """Let PyTorch find a GPU within the block."""
    with ExitStack() as stack:
        for name, function in PRETENDED.items():
            stack.enter_context(mock.patch(name, function, create=True))
        stack.enter_context(_Everywhere())
        yield
