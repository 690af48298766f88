"""The workload: an expert on a backbone, a batch in memory, the precisions of a machine."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial

import timm
import torch

from lptpp.backbones.base import Backbone
from lptpp.backbones.load import load_backbone
from lptpp.backbones.preprocessing import Preprocessing
from lptpp.config import ExpertSettings, Settings, load_settings
from lptpp.inference.runtime import has_bf16
from lptpp.models.encoder import AdaptedEncoder
from lptpp.models.expert import Expert

Context = Callable[[], AbstractContextManager]
PARTS = ("shared_prompts", "group_prompts", "num_groups", "top_k", "group_blocks", "adapter_width")


@dataclass(frozen=True)
class Workload:
    """An expert and one batch for it; `label` is its name in tables."""

    label: str
    expert: Expert
    images: torch.Tensor  # (B, 3, H, W) float32
    labels: torch.Tensor  # (B,)
    counts: torch.Tensor  # (C,) training images of each class
    sizes: dict[str, int]  # of the tower and of the expert's parts

    @property
    def large(self) -> bool:
        """Whether the tower is large enough to be measured on a GPU."""
        return self.sizes["width"] >= 384

    @property
    def device(self) -> torch.device:
        """The device of the batch and of the expert."""
        return self.images.device


def demo_settings(*overrides: str) -> Settings:
    """Return the settings of the demo, which also define the sizes on the bundled towers."""
    return load_settings("emoji", overrides)


def bundled(name: str, batch: int, device: torch.device) -> Workload:
    """Return an expert of the demo on its bundled tower."""
    expert = demo_settings().experts[name]
    return make_workload(load_backbone(expert.backbone.kind, expert.backbone.name), expert, 100, batch, device)


def vit_base(batch: int, device: torch.device) -> Workload:
    """Return an expert of the published sizes on ViT-B/16 at 224 pixels; random weights do not change the speed."""
    tower = timm.create_model("vit_base_patch16_224", pretrained=False, num_classes=0)
    backbone = Backbone("vit_base_patch16_224", tower, Preprocessing((224, 224), (0.5,) * 3, (0.5,) * 3, "bicubic"))
    return make_workload(backbone, ExpertSettings(), 1000, batch, device)


def make_workload(
    backbone: Backbone, settings: ExpertSettings, classes: int, batch: int, device: torch.device
) -> Workload:
    """Return an expert with randomly initialized parts and a batch of random images on the device."""
    torch.manual_seed(0)
    parts, tower = {name: getattr(settings, name) for name in PARTS}, backbone.tower
    expert = Expert(backbone, AdaptedEncoder(tower, **parts), classes).to(device)
    images = torch.randn(batch, 3, *backbone.preprocessing.size, device=device)
    labels = torch.randint(classes, (batch,), device=device)
    counts = (500 * 0.01 ** torch.linspace(0, 1, classes)).long().to(device)  # imbalance factor 100
    sizes = {"blocks": len(tower.blocks), "width": tower.embed_dim, "classes": classes, **parts}
    return Workload(f"{backbone.name}, batch {batch}, {device.type}", expert, images, labels, counts, sizes)


def precisions(device: torch.device) -> dict[str, Context]:
    """Return float32 and, if `precision: auto` would select it, bfloat16; the last is the default."""
    contexts: dict[str, Context] = {"float32": nullcontext}
    if has_bf16(device.type == "cpu"):
        contexts["bfloat16"] = partial(torch.autocast, device.type, torch.bfloat16)
    return contexts
