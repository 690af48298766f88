"""lptpp: long-tailed image classification with LPT++, a mixture of prompt-tuned experts on frozen ViTs.

import lptpp
model = lptpp.fit("emoji")         # or a folder of images: lptpp.fit("my_images/")
model = lptpp.load("runs/emoji")   # later
model.predict("cat.png", top_k=3)
"""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from lptpp.utils.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lptpp.inference.model import Image, Model, Prediction

__version__ = version("lptpp")
__all__ = ["Model", "Prediction", "UserError", "fit", "load", "predict"]


def fit(config: str | Path, *overrides: str) -> Model:
    """Train a model and return it.

    Resumes automatically if the run folder contains a checkpoint. Progress is shown by bars in a terminal and logged to
    `log.txt` in the run folder; `logging.basicConfig(level=logging.INFO)` also shows it elsewhere.

    Args:
        config: a folder of images, the name of a preset, a settings file (YAML), or a run folder.
        overrides: settings as `key=value`, such as `"phase1.epochs=5"`.

    Raises:
        UserError: wrong settings or data.
    """
    from lptpp.config import load_settings

    settings = load_settings(config, overrides)
    from lptpp import api

    api.fit(settings)
    return load(settings.run)


def load(run: str | Path, device: str = "auto") -> Model:
    """Return the trained model of a run folder.

    Raises:
        UserError: the folder contains no finished run, or a backbone has other weights than in training.
    """
    from lptpp.inference import model

    return model.load(run, device)


@overload  # a str is a sequence of str, too: the first that fits counts
def predict(run: str | Path, images: Image, top_k: int = ...) -> list[Prediction]: ...  # type: ignore[overload-overlap]
@overload
def predict(run: str | Path, images: Sequence[Image], top_k: int = ...) -> list[list[Prediction]]: ...


def predict(
    run: str | Path, images: Image | Sequence[Image], top_k: int = 1
) -> list[Prediction] | list[list[Prediction]]:
    """Load the model of a run folder and return the `top_k` best classes of one image or of each of several."""
    return load(run).predict(images, top_k)


def __getattr__(name: str) -> Any:
    """Import the classes on first use: importing PyTorch takes seconds, and `lptpp --help` does not need it."""
    if name in ("Model", "Prediction"):
        from lptpp.inference import model

        return getattr(model, name)
    raise AttributeError(f"module lptpp has no attribute {name}")
