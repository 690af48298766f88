"""The one training loop. It knows neither prompts nor CLIP: a task turns a batch into a loss."""

import math
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Protocol

import torch
from accelerate import Accelerator
from torch import nn

from lptpp.training.optim import Optimization, restore_optimizer
from lptpp.utils.errors import UserError
from lptpp.utils.random import key
from lptpp.utils.text import listed


@dataclass(frozen=True)
class Batch:
    """Inputs of the task, labels, and a way to name the images where something goes wrong.

    It holds as many inputs of each of its streams, one stream after the other.
    """

    inputs: torch.Tensor  # (S·B, ...)
    labels: torch.Tensor  # (S·B,)
    names: Callable[[], list[str]]
    streams: int = 1  # S

    def on(self, device: torch.device) -> "Batch":
        """Return the batch with its tensors on a device."""
        return replace(self, inputs=self.inputs.to(device), labels=self.labels.to(device))


@dataclass
class Position:
    """Where training stands: the next batch of an epoch of a stage, and the loss so far in that epoch."""

    stage: str
    epoch: int = 0
    batch: int = 0
    loss_sum: float = 0.0
    seconds: float = 0.0  # that this epoch has taken so far
    cpu_seconds: float = 0.0  # the same of all cores

    def begin_next_epoch(self) -> None:
        """Stand at the first batch of the next epoch."""
        self.epoch, self.batch, self.loss_sum, self.seconds, self.cpu_seconds = self.epoch + 1, 0, 0.0, 0.0, 0.0


def clocks() -> tuple[float, float]:
    """Return the seconds of the wall clock, and of all cores for this program and workers of it that have ended."""
    return time.perf_counter(), time.process_time() + sum(os.times()[2:4])


def since(began: tuple[float, float]) -> tuple[float, float]:
    """Return the seconds of both clocks since then."""
    now, work = clocks()
    return now - began[0], work - began[1]


@dataclass(frozen=True)
class Stage:
    """One phase of one expert, or of the scorer: everything the loop needs."""

    name: str
    task: nn.Module  # forward(inputs, labels, epoch, stream) -> the stream's scalar share of the loss
    parameters: list[nn.Parameter]  # what the phase trains: nothing else gets a gradient
    optimization: Optimization
    epochs: int
    batches: Callable[[int, int], Iterable[Batch]]  # of an epoch, from a batch on
    begin: Callable[[], object] = lambda: None  # done once, before the first step
    began: tuple[float, float] = field(
        default_factory=clocks
    )  # when its preparation did: it counts as the first epoch's


class Recorder(Protocol):
    """What the loop tells of its progress; raising from `step` stops the run at that step."""

    def step(self, position: Position, optimizer: torch.optim.Optimizer) -> None:
        """Told after every step."""

    def epoch(self, position: Position, optimizer: torch.optim.Optimizer, summary: dict[str, float]) -> None:
        """Told after every epoch; `position` is the start of the next one."""


def train(
    stage: Stage,
    accelerator: Accelerator,
    recorder: Recorder,
    seed: int,
    position: Position,
    optimizer_state: dict[str, torch.Tensor] | None,
) -> None:
    """Train a stage from `position` to its end.

    Raises `UserError` for a loss that is not finite, naming stage, epoch, batch and images.
    """
    if (position.epoch, position.batch) == (0, 0):
        stage.begin()
    train_only(stage.task, stage.parameters)
    optimizer = stage.optimization.build(stage.parameters)
    if optimizer_state is not None:
        restore_optimizer(optimizer, optimizer_state)
    task, prepared = accelerator.prepare(stage.task, optimizer)
    steps = stage.optimization.steps // stage.epochs
    began = (stage.began[0] - position.seconds, stage.began[1] - position.cpu_seconds)
    while position.epoch < stage.epochs:
        for batch in stage.batches(position.epoch, position.batch):
            # every step's noise starts from where it stands, not from how often somebody drew before
            torch.manual_seed(key(seed, stage.name, position.epoch, position.batch))
            rate = stage.optimization.rate(position.epoch * steps + position.batch)
            position.loss_sum += _step(task, prepared, accelerator, batch, rate, position)
            position.batch += 1
            position.seconds, position.cpu_seconds = since(began)
            recorder.step(position, optimizer)
        seconds, cpu_seconds = since(began)  # now that the loader's workers have ended
        summary = {
            "loss": position.loss_sum / max(position.batch, 1),
            "learning_rate": stage.optimization.rate(position.epoch * steps + position.batch - 1),
            "seconds": seconds,
            "cpu_seconds": cpu_seconds,
        }
        position.begin_next_epoch()
        recorder.epoch(position, optimizer, summary)
        began = clocks()
    accelerator.free_memory()


def train_only(module: nn.Module, parameters: list[nn.Parameter]) -> None:
    """Let gradients reach `parameters` and nothing else of the module."""
    module.requires_grad_(False)
    for parameter in parameters:
        parameter.requires_grad_(True)


def add_gradients(
    task: Callable[..., torch.Tensor], backward: Callable[[torch.Tensor], object], batch: Batch, epoch: int
) -> torch.Tensor:
    """Add the gradients of a batch to those of the parameters; return its loss, the sum over its streams.

    The gradient of a sum is the sum of the gradients: each stream goes back by itself, so that no more than what one
    needs is held in memory.
    """
    total = torch.zeros((), device=batch.labels.device)
    inputs, labels = batch.inputs.chunk(batch.streams), batch.labels.chunk(batch.streams)
    for stream in range(batch.streams):
        loss = task(inputs[stream], labels[stream], epoch, stream)
        backward(loss)
        total += loss.detach()
    return total


def _step(
    task: nn.Module,
    optimizer: torch.optim.Optimizer,
    accelerator: Accelerator,
    batch: Batch,
    rate: float,
    position: Position,
) -> float:
    for group in optimizer.param_groups:
        group["lr"] = rate
    value = float(add_gradients(task, accelerator.backward, batch.on(accelerator.device), position.epoch))
    if not math.isfinite(value):
        raise _not_finite(value, batch, position)
    optimizer.step()
    optimizer.zero_grad()
    return value


def _not_finite(value: float, batch: Batch, position: Position) -> UserError:
    return UserError(
        f"The loss became {value} in {position.stage}, epoch {position.epoch + 1}, step {position.batch + 1}, on"
        f" {listed(batch.names())}. The last checkpoint is kept; lower the learning rate of this phase or set"
        " precision=float32, in a new run folder."
    )
