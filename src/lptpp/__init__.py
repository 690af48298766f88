"""lptpp: long-tailed image classification by prompts, adapters and a mixture of experts on frozen ViTs (LPT++).

import lptpp
lptpp.fit("configs/emoji.yaml", "run=runs/emoji")
model = lptpp.load("runs/emoji")
model.predict("cat.png", top_k=3)
"""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lptpp.utils.errors import UserError

if TYPE_CHECKING:
    from lptpp.inference.model import Image, Model, Prediction

__version__ = version("lptpp")
__all__ = ["Model", "Prediction", "UserError", "fit", "load", "predict"]


def fit(config: str | Path, *overrides: str) -> Model:
    """Train all phases from a settings file with `key=value` overrides, and return the trained model.

    Goes on by itself where the run folder holds a checkpoint. Raises `UserError` for whatever a user can mend.
    """
    from lptpp import api
    from lptpp.config import load_settings

    settings = load_settings(config, overrides)
    api.fit(settings)
    return load(settings.run)


def load(run: str | Path, device: str = "auto") -> Model:
    """Return the trained model of a run folder.

    Raises `UserError` where the folder holds no finished run, or where its backbones are not those it was tuned on.
    """
    from lptpp.inference import model

    return model.load(run, device)


def predict(run: str | Path, images: list[Image], top_k: int = 1) -> list[list[Prediction]]:
    """Return the `top_k` best classes of each image by the model of a run folder: `load` and predict in one."""
    return load(run).predict(images, top_k)


def __getattr__(name: str) -> Any:
    """Import the classes when they are asked for: PyTorch takes seconds, and `lptpp --help` needs none of it."""
    if name in ("Model", "Prediction"):
        from lptpp.inference import model

        return getattr(model, name)
    raise AttributeError(f"module lptpp has no attribute {name}")
