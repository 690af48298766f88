"""Settings of the training of one tower, read from a YAML file."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf


@dataclass
class TowerSettings:
    """Architecture and training of one tower."""

    kind: str  # vision or language (with a text tower)
    name: str  # name of the tower in the package
    stem: str  # timm name of the frozen EfficientNet-Lite
    architecture: dict[str, Any]  # of timm's VisionTransformer
    text: dict[str, Any] = field(default_factory=dict)  # of open_clip's TextTransformer
    image_size: int = 160
    views: dict[str, int] = field(default_factory=dict)  # cached crops per image, by source
    teacher_sizes: dict[str, int] = field(default_factory=dict)  # input size of the teacher, by source
    shares: dict[str, float] = field(default_factory=dict)  # of each source in a batch
    smallest_crop: float = 0.3
    color: float = 0.2
    steps: int = 8000
    batch_size: int = 1024
    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    warmup_steps: int = 300
    start: str | None = None  # weights of an earlier run to start from
    geometry: float = 0.0  # weight of the loss that preserves the teacher's similarities between images
    emoji_weight: float = 0.2  # weight of the loss on emoji
    mixed: float = 0.5  # share of the steps with CutMix on tokens
    keep: float = 0.999  # decay of the moving average of the weights
    save_every: int = 500  # steps
    seed: int = 0


def read_settings(path: Path, overrides: list[str]) -> TowerSettings:
    """Return the settings of a YAML file with `key=value` overrides; unknown keys raise OmegaConf's error."""
    merged = OmegaConf.merge(
        OmegaConf.structured(TowerSettings), OmegaConf.load(path), OmegaConf.from_dotlist(overrides)
    )
    return OmegaConf.to_object(merged)  # type: ignore[return-value]
