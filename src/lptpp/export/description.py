"""What whoever uses an exported file must know: model.json, and the metadata inside the file."""

import math
from collections.abc import Iterable
from importlib.metadata import version
from typing import Any

from lptpp.backbones.base import Preprocessing
from lptpp.export.programs import Program, input_name
from lptpp.inference.model import Model


def description(model: Model, programs: Iterable[Program], suffix: str) -> dict[str, Any]:
    """Return classes, files with their inputs and outputs, and how a picture becomes each input (docs/export.md)."""
    experts = model.mixture.experts
    return {
        "made_by": f"lptpp {version('lptpp')}",
        "method": model.settings.method,
        "class_names": model.class_names,
        "training_images": model.counts.tolist(),
        "inputs": {input_name(name): picture(expert.backbone.preprocessing) for name, expert in experts.items()},
        "weights_of": list(experts),
        "files": {
            f"{program.name}{suffix}": {"inputs": program.inputs, "outputs": program.outputs} for program in programs
        },
    }


def picture(preprocessing: Preprocessing) -> dict[str, Any]:
    """Return how a picture becomes an input: resized, its middle cut out, RGB bytes; the model does the rest."""
    height, width = preprocessing.size
    share = preprocessing.crop_share
    return {
        "shape": ["batch", 3, height, width],
        "type": "uint8",
        "colors": "RGB",
        "resize_to": [math.floor(height / share), math.floor(width / share)],
        "keep_aspect": not preprocessing.squash,
        "interpolation": preprocessing.interpolation,
        "antialias": True,
        "center_crop": [height, width],
        "inside_the_model": {"divide_by": 255, "mean": list(preprocessing.mean), "std": list(preprocessing.std)},
    }
