"""A trained mixture as modules from uint8 images to probabilities: what the exported files contain.

Shapes: B images, C classes, E experts.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import torch
from torch import nn
from torch.export import Dim, ExportedProgram
from torchvision.transforms import v2

from lptpp.backbones.preprocessing import Preprocessing
from lptpp.data.transforms import mean_color
from lptpp.inference.model import Model
from lptpp.models.mixture import Mixture

RESULT = "model"  # the mixture, or the only expert


class Deployed(nn.Module):
    """uint8 images (B, 3, H, W), one tensor per expert, to probabilities (B, C) and scorer weights (B, E)."""

    def __init__(self, mixture: Mixture) -> None:
        super().__init__()
        self.mixture = mixture
        self.normalize = nn.ModuleDict(
            {name: _normalization(expert.backbone.preprocessing) for name, expert in mixture.experts.items()}
        )

    def forward(self, *images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the prediction of the mixture; `images` are in the order of its experts."""
        given = zip(self.normalize.items(), images, strict=True)
        mixed = self.mixture({name: normalize(image) for (name, normalize), image in given})
        return mixed.probabilities, mixed.weights


class DeployedExpert(nn.Module):
    """uint8 images (B, 3, H, W) to the probabilities (B, C) of one expert."""

    def __init__(self, mixture: Mixture, name: str) -> None:
        super().__init__()
        self.alone = Deployed(Mixture({name: mixture.experts[name]}))

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor]:
        """Return the prediction of the expert."""
        return self.alone(images)[:1]


@dataclass(frozen=True)
class Program:
    """A module to export to a file of this name, the experts whose images it takes, and its outputs."""

    name: str
    module: nn.Module
    experts: tuple[str, ...]
    outputs: dict[str, list[str | int]]  # name -> shape

    @property
    def inputs(self) -> list[str]:
        """Names of the inputs, in order."""
        return [input_name(name) for name in self.experts]

    def given(self, images: Mapping[str, torch.Tensor]) -> tuple[torch.Tensor, ...]:
        """Select the inputs of this program, in order, from the images of all experts."""
        return tuple(images[name] for name in self.experts)


def input_name(expert: str) -> str:
    """Return the name of the input that takes the images of an expert."""
    return f"image_{expert}"


def result_program(mixture: Mixture) -> Program:
    """Return the program of the mixture."""
    experts, classes = tuple(mixture.experts), len(next(iter(mixture.experts.values())).heads[-1].weight)
    outputs: dict[str, list[str | int]] = {"probabilities": ["batch", classes], "weights": ["batch", len(experts)]}
    return Program(RESULT, Deployed(mixture).eval(), experts, outputs)


def expert_programs(mixture: Mixture) -> list[Program]:
    """Return a program per expert; none for a mixture of one, which is the result program already."""
    experts = list(mixture.experts) if len(mixture.experts) > 1 else []
    outputs = {"probabilities": result_program(mixture).outputs["probabilities"]}
    return [Program(f"expert-{name}", DeployedExpert(mixture, name).eval(), (name,), outputs) for name in experts]


def traced(program: Program, images: Mapping[str, torch.Tensor]) -> ExportedProgram:
    """Trace a program with a dynamic batch size; `images` must have a batch of three or more."""
    given, batch = program.given(images), Dim("batch")
    shapes = ({0: batch},) * len(given)
    dynamic = (shapes,) if isinstance(program.module, Deployed) else shapes  # *images is one argument
    # strict tracing takes up to three times as long
    graph = torch.export.export(program.module, given, dynamic_shapes=dynamic, strict=False)
    for node in graph.graph.nodes:
        node.meta.pop("stack_trace", None)  # contains paths of this machine
    return graph


def description(model: Model, programs: Iterable[Program], suffix: str) -> dict[str, Any]:
    """Return the content of model.json: classes, files with inputs and outputs, preprocessing (docs/export.md)."""
    experts = model.mixture.experts
    return {
        "made_by": f"lptpp {version('lptpp')}",
        "method": model.settings.method,
        "class_names": model.class_names,
        "training_images": model.counts.tolist(),
        "inputs": {input_name(name): _input(expert.backbone.preprocessing) for name, expert in experts.items()},
        "weights_of": list(experts),
        "files": {
            f"{program.name}{suffix}": {"inputs": program.inputs, "outputs": program.outputs} for program in programs
        },
    }


def _input(preprocessing: Preprocessing) -> dict[str, Any]:
    """Describe an input: resize, center crop, RGB bytes; normalization is part of the model."""
    height, width = preprocessing.size
    share = preprocessing.crop_share
    return {
        "shape": ["batch", 3, height, width],
        "type": "uint8",
        "colors": "RGB",
        "resize_to": [math.floor(height / share), math.floor(width / share)],
        "resize": preprocessing.resize,
        "keep_aspect": preprocessing.resize != "squash",
        "padding": list(mean_color(preprocessing)) if preprocessing.resize == "pad" else None,
        "interpolation": preprocessing.interpolation,
        "antialias": True,
        "center_crop": [height, width],
        "inside_the_model": {"divide_by": 255, "mean": list(preprocessing.mean), "std": list(preprocessing.std)},
    }


def _normalization(preprocessing: Preprocessing) -> nn.Module:
    statistics = list(preprocessing.mean), list(preprocessing.std)
    return nn.Sequential(v2.ToDtype(torch.float32, scale=True), v2.Normalize(*statistics))
