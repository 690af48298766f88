"""Where frozen models run: the device, the precision, the size of a batch."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState

from lptpp.config import Settings
from lptpp.data.loader import ViewBatch, worker_count
from lptpp.models.expert import ExpertOutput
from lptpp.models.held import hold_in_bf16
from lptpp.models.mixture import Mixture
from lptpp.utils import processes
from lptpp.utils.errors import UserError
from lptpp.utils.text import counted


def make_accelerator(device: str = "auto", precision: str = "auto") -> Accelerator:
    """Return an accelerator for a device (auto, cpu, cuda, mps) and a precision (auto, float32, bf16).

    Raises:
        UserError: the device is not available, or accelerate launch is configured for another engine.
    """
    _refuse_other_engines()
    available = {
        "auto": True,
        "cpu": True,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    if not available[device]:
        raise UserError(f"device={device} is not available on this machine; use device=auto or device=cpu.")
    if device != "cpu" and available["cuda"] and processes.local_count() > torch.cuda.device_count():
        raise UserError(
            f"{processes.local_count()} processes on this machine, but"
            f" {counted(torch.cuda.device_count(), 'GPU')}: start one process per GPU, or use device=cpu."
        )
    # accelerate keeps one state per process, but two runs in one process may differ in precision
    AcceleratorState._reset_state(reset_partial_state=True)
    on_cpu = device == "cpu" or not (available["cuda"] or available["mps"])
    wanted = "bf16" if precision == "bf16" or (precision == "auto" and has_bf16(on_cpu)) else "no"
    return Accelerator(cpu=on_cpu, mixed_precision=wanted)


def _refuse_other_engines() -> None:
    for name in ("DeepSpeed", "FSDP", "Megatron_LM"):
        if os.environ.get(f"ACCELERATE_USE_{name.upper()}", "false") == "true":
            raise UserError(
                f"accelerate launch is configured for {name.replace('_', '-')}, which lptpp does not use: start it with"
                " --multi_gpu, or with torchrun."
            )


def has_bf16(on_cpu: bool) -> bool:
    """Return whether bfloat16 is faster than float32 on this machine."""
    if on_cpu:
        capabilities: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()  # empty before PyTorch 2.11
        can = capabilities.get
        # cores with avx512_fp16 rely on AMX for bfloat16: where a virtual machine hides AMX, a matrix product takes
        # 1.7 times as long as in float32
        return bool(can("amx_bf16") or (can("avx512_bf16") and not can("avx512_fp16")))
    return torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False)


def place(mixture: Mixture, accelerator: Accelerator, tower_precision: str) -> Mixture:
    """Move a mixture to the device; on a GPU that computes in bf16, its frozen towers are stored in bf16.

    `tower_precision` is auto, or float32 for no change.
    """
    if tower_precision == "auto" and accelerator.device.type == "cuda" and accelerator.mixed_precision == "bf16":
        for expert in mixture.experts.values():
            if not expert.tune_backbone:
                hold_in_bf16(expert.encoder.tower)
    return mixture.to(accelerator.device)


@dataclass(frozen=True)
class Runner:
    """Where and how frozen models run: device, precision, batch size, loader workers of augmented views."""

    device: torch.device
    autocast: Callable[[], AbstractContextManager] = nullcontext
    batch_size: int = 256
    workers: int | str = 0  # or auto
    before_batch: Callable[[], object] = lambda: None  # may raise, to stop

    @property
    def is_gpu(self) -> bool:
        """Whether batches are copied from page-locked memory while the device computes."""
        return self.device.type == "cuda"

    def loader_workers(self, images: int) -> int:
        """Return the loader processes for a pass over some images (`lptpp.data.loader.worker_count`)."""
        return worker_count(self.workers, self.device.type, images)

    def on_device(self, views: torch.Tensor) -> torch.Tensor:
        """Return views on the device; the copy from page-locked memory does not wait."""
        return views.to(self.device, non_blocking=self.is_gpu)

    def forward(self, mixture: Mixture, views: Mapping[str, torch.Tensor]) -> dict[str, ExpertOutput]:
        """Return the expert outputs, on the device, for views by expert (B, 3, height, width)."""
        self.before_batch()
        with self.autocast():
            return mixture.forward_experts({name: self.on_device(view) for name, view in views.items()})

    def expert_outputs(
        self, mixture: Mixture, batches: Iterable[ViewBatch]
    ) -> Iterator[tuple[dict[str, ExpertOutput], torch.Tensor, torch.Tensor]]:
        """Yield the expert outputs for each batch, with its labels (B,) and indices (B,)."""
        mixture.to(self.device)
        for views, labels, indices in batches:
            yield self.forward(mixture, views), labels, indices


def runner_of(settings: Settings) -> Runner:
    """Return the runner for the device and precision of the settings."""
    return runner_on(settings, make_accelerator(settings.device, settings.precision))


def runner_on(settings: Settings, accelerator: Accelerator) -> Runner:
    """Return the runner for a given accelerator."""
    return Runner(accelerator.device, accelerator.autocast, settings.evaluation.batch_size, settings.workers)
