"""A trained mixture as modules from plain pictures to plain tensors: what the files for other programs hold."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import nn
from torch.export import Dim, ExportedProgram
from torchvision.transforms import v2

from lptpp.backbones.base import Preprocessing
from lptpp.models.mixture import Mixture

RESULT = "model"  # the run's answer: the mixture, or the only expert


class Deployed(nn.Module):
    """Uint8 pictures (B, 3, H, W), one view for each expert, to probabilities (B, C) and weights (B, E)."""

    def __init__(self, mixture: Mixture) -> None:
        super().__init__()
        self.mixture = mixture
        self.normalize = nn.ModuleDict(
            {name: _normalization(expert.backbone.preprocessing) for name, expert in mixture.experts.items()}
        )

    def forward(self, *pictures: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return what the mixture says of the pictures, given in the order of its experts."""
        given = zip(self.normalize.items(), pictures, strict=True)
        mixed = self.mixture({name: normalize(picture) for (name, normalize), picture in given})
        return mixed.probabilities, mixed.weights


class DeployedExpert(nn.Module):
    """Uint8 pictures (B, 3, H, W) to probabilities (B, C): one expert alone."""

    def __init__(self, mixture: Mixture, name: str) -> None:
        super().__init__()
        self.alone = Deployed(Mixture({name: mixture.experts[name]}))

    def forward(self, pictures: torch.Tensor) -> tuple[torch.Tensor]:
        """Return what the expert says of the pictures."""
        return self.alone(pictures)[:1]


@dataclass(frozen=True)
class Program:
    """A module to be written as a file of this name, with the experts whose pictures it takes and its outputs."""

    name: str
    module: nn.Module
    experts: tuple[str, ...]
    outputs: dict[str, list[str | int]]  # shape by name

    @property
    def inputs(self) -> list[str]:
        """Names of the inputs, in order."""
        return [input_name(name) for name in self.experts]

    def given(self, pictures: Mapping[str, torch.Tensor]) -> tuple[torch.Tensor, ...]:
        """Return the inputs, in order, from the pictures of all experts by name."""
        return tuple(pictures[name] for name in self.experts)


def input_name(expert: str) -> str:
    """Return the name of the input that takes an expert's pictures."""
    return f"picture_{expert}"


def answer_program(mixture: Mixture) -> Program:
    """Return the program of a run's answer."""
    experts, classes = tuple(mixture.experts), len(next(iter(mixture.experts.values())).heads[-1].weight)
    outputs: dict[str, list[str | int]] = {"probabilities": ["batch", classes], "weights": ["batch", len(experts)]}
    return Program(RESULT, Deployed(mixture).eval(), experts, outputs)


def expert_programs(mixture: Mixture) -> list[Program]:
    """Return a program for each expert; none where there is only one, which is the answer already."""
    experts = list(mixture.experts) if len(mixture.experts) > 1 else []
    outputs = {"probabilities": answer_program(mixture).outputs["probabilities"]}
    return [Program(f"expert-{name}", DeployedExpert(mixture, name).eval(), (name,), outputs) for name in experts]


def traced(program: Program, pictures: Mapping[str, torch.Tensor]) -> ExportedProgram:
    """Return the program as a graph of PyTorch's operators, for any batch size; `pictures` hold three or more."""
    given, batch = program.given(pictures), Dim("batch")
    shapes = ({0: batch},) * len(given)
    dynamic = (shapes,) if isinstance(program.module, Deployed) else shapes  # *pictures is one argument
    # strict: plain tracing would take the batch size, read by len(), for a constant
    graph = torch.export.export(program.module, given, dynamic_shapes=dynamic, strict=True)
    for node in graph.graph.nodes:
        node.meta.pop("stack_trace", None)  # names of files on this machine, which are nobody else's business
    return graph


def _normalization(preprocessing: Preprocessing) -> nn.Module:
    statistics = list(preprocessing.mean), list(preprocessing.std)
    return nn.Sequential(v2.ToDtype(torch.float32, scale=True), v2.Normalize(*statistics))
