"""Writes a trained tower with its stem as the package loads it: float16 weights with a card in their metadata."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

import lptpp.backbones.bundled
from lptpp.backbones.card_files import CARD
from lptpp.backbones.cards import build_parts
from pretraining.cache import Stem
from pretraining.settings import TowerSettings
from pretraining.towers import install_stem

BUNDLED_FOLDER = Path(lptpp.backbones.bundled.__file__).parent


def ship_tower(settings: TowerSettings, weights: list[Path], folder: Path) -> Path:
    """Write a trained tower, the mean of the runs in `weights`, to a folder and return the path of its file.

    A run that continues another on other data forgets some of it; the mean of both forgets less (Wortsman et al. 2022,
    arXiv 2109.01903).
    """
    card = card_of(settings)
    parts = build_parts(card)
    install_stem(parts["tower"], Stem(settings.stem, torch.device("cpu")))  # type: ignore[arg-type]
    runs = [load_file(path) for path in weights]
    trained = {
        name: sum(run[name].float() for run in runs) / len(runs)
        for name in runs[0]
        if name.startswith(("tower.", "text."))
    }
    untrained = [name for name in parts.state_dict() if name not in trained and ".backbone." not in name]
    assert not untrained, untrained
    parts.load_state_dict(parts.state_dict() | trained, strict=True)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{settings.name}.safetensors"
    save_file(
        {name: one.half().contiguous() for name, one in parts.state_dict().items()}, path, {CARD: json.dumps(card)}
    )
    return path


def card_of(settings: TowerSettings) -> dict[str, Any]:
    """Return the card of a tower: its architecture and preprocessing."""
    side = settings.image_size
    architecture = {k: v for k, v in settings.architecture.items() if k != "drop_path_rate"} | {"img_size": side}
    card = {"name": settings.name, "stem": settings.stem, "architecture": architecture, "size": [side, side]}
    card |= {"mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bicubic", "crop_share": 1.0}
    return card | ({"text": settings.text} if settings.text else {})
