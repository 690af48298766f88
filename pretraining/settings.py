"""The settings of one tower's training, read from a YAML file headed by its command, hardware, time and figures."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf


@dataclass
class TowerSettings:
    """How one tower is built and trained."""

    kind: str  # vision, or language: with a text tower
    name: str  # what the tower is called in the package
    stem: str  # timm's name of the frozen EfficientNet-Lite
    architecture: dict[str, Any]  # of timm's VisionTransformer
    text: dict[str, Any] = field(default_factory=dict)  # of open_clip's TextTransformer
    image_size: int = 160
    views: dict[str, int] = field(default_factory=dict)  # cached crops of each picture, by source
    teacher_sizes: dict[str, int] = field(default_factory=dict)  # pixels at which the teacher sees them, by source
    shares: dict[str, float] = field(default_factory=dict)  # of each source in a batch
    smallest_crop: float = 0.3
    color: float = 0.2
    steps: int = 8000
    batch_size: int = 1024
    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    warmup_steps: int = 300
    start: str | None = None  # weights of an earlier run to go on from, such as to finish one on another machine
    geometry: float = 0.0  # of the loss that keeps pictures as similar as the teacher finds them
    emoji_weight: float = 0.2  # of the loss on emoji
    mixed: float = 0.5  # share of the steps that swap a rectangle of tokens between pictures
    keep: float = 0.999  # what the moving average of the weights keeps of itself in a step
    save_every: int = 500  # steps
    seed: int = 0


def read_settings(path: Path, overrides: list[str]) -> TowerSettings:
    """Return the settings of a YAML file with `key=value` overrides; unknown keys raise OmegaConf's error."""
    merged = OmegaConf.merge(
        OmegaConf.structured(TowerSettings), OmegaConf.load(path), OmegaConf.from_dotlist(overrides)
    )
    return OmegaConf.to_object(merged)  # type: ignore[return-value]
