"""The experts' outputs over a whole set of pictures, computed once."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState

from lptpp.config import Settings
from lptpp.data.cache import Pictures
from lptpp.data.loader import Draw, Views, batches
from lptpp.data.transforms import each, evaluation_transform
from lptpp.models.encoder import AdaptedEncoder
from lptpp.models.expert import Expert, ExpertOutput
from lptpp.models.mixture import Mixture
from lptpp.utils.errors import UserError
from lptpp.utils.progress import progress_bar


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


@dataclass(frozen=True)
class Runner:
    """How frozen models run over pictures: where, how precisely, how many at once."""

    device: torch.device
    autocast: Callable[[], AbstractContextManager] = nullcontext
    batch_size: int = 256
    workers: int = 0

    def expert_outputs(
        self, mixture: Mixture, views: Views, draws: Sequence[Draw], description: str
    ) -> Iterator[tuple[dict[str, ExpertOutput], torch.Tensor, torch.Tensor]]:
        """Yield what every expert says, on the device, with labels (B,) and indices (B,), batch by batch."""
        mixture.to(self.device)
        for images, labels, indices in self._batches(views, draws, description):
            with self.autocast():
                outputs = mixture.forward_experts({name: view.to(self.device) for name, view in images.items()})
            yield outputs, labels, indices

    @torch.no_grad()
    def features(self, expert: Expert, pictures: Pictures, description: str) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the features (n, F) of an expert's backbone as it came, nothing added, and the labels (n,)."""
        looks = {"all": each(evaluation_transform(expert.backbone.preprocessing))}
        views = Views(pictures, pictures.split.labels, looks)
        frozen = AdaptedEncoder(expert.encoder.tower).to(self.device)
        found, all_labels = [], []
        for images, labels, _ in self._batches(views, each_once(pictures), description):
            with self.autocast():
                found.append(frozen.query_feature(images["all"].to(self.device)).float().cpu())
            all_labels.append(labels)
        return torch.cat(found), torch.cat(all_labels)

    def _batches(self, views: Views, draws: Sequence[Draw], description: str) -> Iterator:
        with progress_bar(description, len(draws)) as bar:
            for batch in batches(views, draws, self.batch_size, self.workers):
                yield batch
                bar.advance(len(batch[1]))


def each_once(pictures: Pictures) -> list[Draw]:
    """Return the draws that take every picture once, in order, with no randomness to speak of."""
    return [(index, 0) for index in range(len(pictures))]


def evaluation_views(mixture: Mixture, pictures: Pictures) -> Views:
    """Return pictures as every expert wants them for looking, without augmentation."""
    transforms = {name: each(evaluation_transform(e.backbone.preprocessing)) for name, e in mixture.experts.items()}
    return Views(pictures, pictures.split.labels, transforms)


def runner_of(settings: Settings) -> Runner:
    """Return the runner of frozen models that the settings ask for."""
    return runner_on(settings, make_accelerator(settings.device, settings.precision))


def runner_on(settings: Settings, accelerator: Accelerator) -> Runner:
    """Return the runner of frozen models on an accelerator."""
    return Runner(accelerator.device, accelerator.autocast, settings.evaluation.batch_size, settings.workers)
