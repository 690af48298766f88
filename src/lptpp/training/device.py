"""Where and how precisely training computes, through accelerate."""

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState

from lptpp.errors import UserError


def make_accelerator(device: str = "auto", precision: str = "auto") -> Accelerator:
    """Return an accelerator for auto, cpu, cuda or mps, at auto, float32 or bf16.

    Raises `UserError` for a device that this machine does not have.
    """
    available = {
        "auto": True,
        "cpu": True,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    if not available[device]:
        raise UserError(f"device={device} is not available on this machine: use device=auto or device=cpu.")
    # accelerate keeps one state for the whole process; two runs in one process may differ in precision
    AcceleratorState._reset_state(reset_partial_state=True)
    on_cpu = device == "cpu" or not (available["cuda"] or available["mps"])
    wanted = "bf16" if precision == "bf16" or (precision == "auto" and has_bf16(on_cpu)) else "no"
    return Accelerator(cpu=on_cpu, mixed_precision=wanted)


def has_bf16(on_cpu: bool) -> bool:
    """Say whether the machine computes bfloat16 faster than float32."""
    if on_cpu:
        can = torch.cpu.get_capabilities().get
        # cores that know avx512_fp16 are made to multiply bfloat16 in AMX: without it (virtual machines hide it) they
        # take 1.7 times as long for a product as in float32
        return bool(can("amx_bf16") or (can("avx512_bf16") and not can("avx512_fp16")))
    return torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False)
