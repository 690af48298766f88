"""What is measured: an expert on a backbone, a batch in memory, the precisions of a machine."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial

import timm
import torch

from lptpp.backbones import load_backbone
from lptpp.backbones.base import Backbone, Preprocessing
from lptpp.config import ExpertSettings, Settings, load_settings
from lptpp.inference.runtime import has_bf16
from lptpp.models.encoder import AdaptedEncoder
from lptpp.models.expert import Expert
from machine import ROOT

Context = Callable[[], AbstractContextManager]
PARTS = ("shared_prompts", "group_prompts", "pool", "chosen", "group_blocks", "adapter_width")


@dataclass(frozen=True)
class Subject:
    """An expert and one batch for it; `label` says in tables what it is."""

    label: str
    expert: Expert
    images: torch.Tensor  # (B, 3, H, W) float32
    labels: torch.Tensor  # (B,)
    counts: torch.Tensor  # (C,) training images of each class
    sizes: dict[str, int]  # of the tower and of the expert's parts

    @property
    def large(self) -> bool:
        """Say whether the tower is of the size that GPUs are for."""
        return self.sizes["width"] >= 384

    @property
    def device(self) -> torch.device:
        """Where all of it is."""
        return self.images.device


def demo_settings(*overrides: str) -> Settings:
    """Return the settings of the demo, from which the sizes on the bundled towers come too."""
    return load_settings(ROOT / "configs" / "emoji.yaml", overrides)


def bundled(name: str, batch: int, device: torch.device) -> Subject:
    """Return one of the demo's experts, on a tower that ships with the package."""
    expert = demo_settings().experts[name]
    return subject(load_backbone(expert.backbone.kind, expert.backbone.name), expert, 100, batch, device)


def vit_base(batch: int, device: torch.device) -> Subject:
    """Return an expert of the published sizes on ViT-B/16 at 224 pixels with random weights: speed needs no others."""
    tower = timm.create_model("vit_base_patch16_224", pretrained=False, num_classes=0)
    backbone = Backbone("vit_base_patch16_224", tower, Preprocessing((224, 224), (0.5,) * 3, (0.5,) * 3, "bicubic"))
    return subject(backbone, ExpertSettings(), 1000, batch, device)


def subject(backbone: Backbone, settings: ExpertSettings, classes: int, batch: int, device: torch.device) -> Subject:
    """Return an expert, its parts at their random start, and a batch of random images on the device."""
    torch.manual_seed(0)
    parts, tower = {name: getattr(settings, name) for name in PARTS}, backbone.tower
    expert = Expert(backbone, AdaptedEncoder(tower, **parts), classes).to(device)
    images = torch.randn(batch, 3, *backbone.preprocessing.size, device=device)
    labels = torch.randint(classes, (batch,), device=device)
    counts = (500 * 0.01 ** torch.linspace(0, 1, classes)).long().to(device)  # imbalance factor 100
    sizes = {"blocks": len(tower.blocks), "width": tower.embed_dim, "classes": classes, **parts}
    return Subject(f"{backbone.name}, batch {batch}, {device.type}", expert, images, labels, counts, sizes)


def precisions(device: torch.device) -> dict[str, Context]:
    """Return float32 and, where `precision: auto` would take it, bfloat16: the last is the default."""
    contexts: dict[str, Context] = {"float32": nullcontext}
    if has_bf16(device.type == "cpu"):
        contexts["bfloat16"] = partial(torch.autocast, device.type, torch.bfloat16)
    return contexts
