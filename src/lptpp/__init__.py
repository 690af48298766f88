"""lptpp: long-tailed image classification by prompts, adapters and a mixture of experts on frozen ViTs (LPT++).

import lptpp
lptpp.fit("configs/emoji.yaml", "run=runs/emoji")
model = lptpp.load("runs/emoji")
model.predict("cat.png", top_k=3)
"""

from importlib.metadata import version
from pathlib import Path

from lptpp.config import load_settings
from lptpp.errors import UserError
from lptpp.model import Image, Model, Prediction, load
from lptpp.training.fit import fit as _fit

__version__ = version("lptpp")
__all__ = ["Model", "Prediction", "UserError", "fit", "load", "predict"]


def fit(config: str | Path, *overrides: str) -> Model:
    """Train all phases from a settings file with `key=value` overrides, and return the trained model.

    Goes on by itself where the run folder holds a checkpoint. Raises `UserError` for whatever a user can mend.
    """
    settings = load_settings(config, overrides)
    _fit(settings)
    return load(settings.run)


def predict(run: str | Path, images: list[Image], top_k: int = 1) -> list[list[Prediction]]:
    """Return the `top_k` best classes of each image by the model of a run folder: `load` and predict in one."""
    return load(run).predict(images, top_k)
