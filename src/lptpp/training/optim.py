"""Optimizers, their schedule, and their state as tensors."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import nn


@dataclass(frozen=True)
class Optimization:
    """An optimizer, and a cosine schedule with warm-up over the steps of a phase (docs/method.md).

    `learning_rate` is for a batch size of 256; the peak rate scales linearly with the batch size. So does
    `warmup_rate`, the constant rate of a flat warm-up; None is a linear warm-up to the peak.
    """

    name: str
    learning_rate: float
    weight_decay: float
    warmup_steps: float
    steps: int
    batch_size: int
    warmup_rate: float | None = None

    def build(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """Return the optimizer for `parameters`."""
        if self.name == "sgd":
            return torch.optim.SGD(parameters, lr=0.0, momentum=0.9, weight_decay=self.weight_decay)
        assert self.name == "adamw"
        return torch.optim.AdamW(parameters, lr=0.0, weight_decay=self.weight_decay)

    def rate(self, step: int) -> float:
        """Return the learning rate of a step, counted from 0 over the phase: warm-up, then cosine decay to 0."""
        scale = self.batch_size / 256
        peak = self.learning_rate * scale
        if step < self.warmup_steps and self.warmup_rate is not None:
            return self.warmup_rate * scale
        if step < self.warmup_steps:
            return peak * (step + 1) / (self.warmup_steps + 1)
        past = (step - self.warmup_steps) / max(self.steps - self.warmup_steps, 1)
        return peak * 0.5 * (1 + math.cos(math.pi * past))


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    """Return the state of an optimizer as named tensors, `index.name`."""
    state = optimizer.state_dict()["state"]
    return {
        f"{index}.{name}": torch.as_tensor(value) for index, entry in state.items() for name, value in entry.items()
    }


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, torch.Tensor]) -> None:
    """Restore the state that `optimizer_tensors` returned."""
    state: dict[int, dict[str, torch.Tensor]] = {}
    for key, tensor in tensors.items():
        index, name = key.split(".", 1)
        state.setdefault(int(index), {})[name] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
