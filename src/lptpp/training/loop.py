"""The training loop of all phases. It is independent of the method: a task turns a batch into a loss."""

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Protocol, Self

import torch
from accelerate import Accelerator
from torch import nn

from lptpp.config import Settings
from lptpp.config.stages import StageKey
from lptpp.training.optim import Optimization, restore_optimizer
from lptpp.training.shards import WHOLE, Piece, accumulated, summed
from lptpp.training.unread import READ_EVERY, NotFinite, Unread, read
from lptpp.utils import exchange, processes
from lptpp.utils.errors import Ended, UserError
from lptpp.utils.random import key
from lptpp.utils.stopping import waiting_for_step
from lptpp.utils.text import listed


@dataclass(frozen=True)
class Batch:
    """Inputs of the task, labels, and the names of the images for error messages.

    It contains equally many inputs of each of its S streams, one stream after the other; if it is cut into shards, so
    does each piece, one piece after the other.
    """

    inputs: torch.Tensor  # (S·B, ...)
    labels: torch.Tensor  # (S·B,)
    names: Callable[[], list[str]]
    streams: int = 1  # S
    pieces: Sequence[Piece] = (WHOLE,)  # of the shards of this process

    def parts(self) -> Iterator["Batch"]:
        """Yield the batch of each piece."""
        sizes = [self.streams * piece.images or len(self.labels) for piece in self.pieces]
        parts = zip(self.pieces, self.inputs.split(sizes), self.labels.split(sizes), strict=True)
        for piece, inputs, labels in parts:
            yield replace(self, inputs=inputs, labels=labels, pieces=(piece,))

    def on(self, device: torch.device) -> "Batch":
        """Return the batch on a device."""
        waits_not = device.type == "cuda"  # for the copy from page-locked memory
        inputs, labels = (part.to(device, non_blocking=waits_not) for part in (self.inputs, self.labels))
        return replace(self, inputs=inputs, labels=labels)


@dataclass
class Position:
    """The position of training: the next batch of an epoch of a stage, and the loss of that epoch so far.

    `loss_sum` and `last_loss` lack the losses that are still on a GPU, `unread`, until `read` is called.
    """

    stage: StageKey
    epoch: int = 0
    batch: int = 0
    loss_sum: float = 0.0
    seconds: float = 0.0  # of this epoch so far
    cpu_seconds: float = 0.0  # of all cores
    last_loss: float = field(default=0.0, compare=False)
    unread: list[Unread] = field(default_factory=list, repr=False, compare=False)

    @classmethod
    def restored(cls, saved: Mapping[str, Any]) -> Self:
        """Return the position that `saved` returned."""
        return cls(**{**saved, "stage": StageKey.parse(saved["stage"])})

    def described(self, settings: Settings) -> str:
        """Return the epoch that is trained next, in words, or that the stage is trained."""
        epochs = getattr(settings, self.stage.settings_key).epochs
        return f"{self.stage}, epoch {self.epoch + 1}" if self.epoch < epochs else f"the end of {self.stage}"

    def saved(self) -> dict[str, Any]:
        """Return the position as plain values."""
        self.read()
        kept = {name: value for name, value in vars(self).items() if name not in ("unread", "last_loss")}
        return {**kept, "stage": str(self.stage)}

    def read(self) -> None:
        """Add the unread losses.

        Raises:
            UserError: one is not finite; the message names stage, epoch, step and images.
            Ended: it is that of another process.
        """
        if not self.unread:
            return
        losses, self.unread = self.unread, []
        try:
            for self.last_loss in read(losses):
                self.loss_sum += self.last_loss
        except NotFinite as found:
            if not found.unread.loss.is_ours():
                raise Ended("the loss is not finite") from None
            raise self._not_finite(found) from None

    def mean_loss(self) -> float:
        """Return the mean of the losses of this epoch that have been read."""
        return self.loss_sum / max(self.batch - len(self.unread), 1)

    def _not_finite(self, found: NotFinite) -> UserError:
        return UserError(
            f"The loss is {found.value} in {self.stage}, epoch {self.epoch + 1}, step {found.unread.step}, on"
            f" {listed(found.unread.names())}. The last checkpoint is kept. Start a new run folder with a lower"
            " learning rate of this phase, or with precision=float32."
        )

    def begin_next_epoch(self) -> None:
        """Move to the first batch of the next epoch."""
        self.epoch, self.batch, self.loss_sum, self.seconds, self.cpu_seconds = self.epoch + 1, 0, 0.0, 0.0, 0.0


def clocks() -> tuple[float, float]:
    """Return wall-clock seconds, and the CPU seconds of this process and of its finished workers."""
    return time.perf_counter(), time.process_time() + sum(os.times()[2:4])


def since(began: tuple[float, float]) -> tuple[float, float]:
    """Return the seconds of both clocks since `began`."""
    now, work = clocks()
    return now - began[0], work - began[1]


@dataclass(frozen=True)
class Stage:
    """The work of one stage: everything the loop needs."""

    key: StageKey
    task: nn.Module  # forward(inputs, labels, epoch, stream) -> the loss of one stream, a scalar
    parameters: list[nn.Parameter]  # trainable; all others are frozen
    optimization: Optimization
    epochs: int
    batches: Callable[[int, int], Iterable[Batch]]  # (epoch, first batch) -> batches
    begin: Callable[[], object] = lambda: None  # called once, before the first step
    after_epoch: Callable[[int], object] = lambda epochs: None  # called with the number of finished epochs
    shards: int = 1  # the pieces of each batch
    in_order: bool = True  # sum the gradients of the shards in order; else as they come, for very many parameters
    began: tuple[float, float] = field(
        default_factory=clocks
    )  # clocks when its preparation started, which counts toward the first epoch


class Recorder(Protocol):
    """Receives the progress of the loop. An exception raised from `step` stops training at that step.

    On a GPU, the losses of the last steps may be unread; all processes of a run read them at the same steps.
    """

    def step(self, position: Position, optimizer: torch.optim.Optimizer) -> None:
        """Called after every step."""

    def epoch(self, position: Position, optimizer: torch.optim.Optimizer, summary: dict[str, float]) -> None:
        """Called after every epoch; `position` is the start of the next one."""


def train(
    stage: Stage,
    accelerator: Accelerator,
    recorder: Recorder,
    seed: int,
    position: Position,
    optimizer_state: dict[str, torch.Tensor] | None,
) -> None:
    """Train a stage from `position` to its end.

    Raises:
        UserError: the loss is not finite; the message names stage, epoch, step and images.
        Ended: another process has ended.
    """
    if (position.epoch, position.batch) == (0, 0):
        stage.begin()
    train_only(stage.task, stage.parameters)
    exchange.broadcast(stage.parameters)
    optimizer = stage.optimization.build(stage.parameters)
    if optimizer_state is not None:
        restore_optimizer(optimizer, optimizer_state)
    task = accelerator.prepare_model(stage.task, evaluation_mode=True)  # autocast; the loop sums the gradients itself
    task = task if stage.in_order else exchange.reducing(task)
    # its state is where its parameters are, but for the steps of AdamW: on a GPU, each step would wait to read them
    prepared = accelerator.prepare_optimizer(optimizer, device_placement=False)
    steps = stage.optimization.steps // stage.epochs
    began = (stage.began[0] - position.seconds, stage.began[1] - position.cpu_seconds)
    with waiting_for_step():
        while position.epoch < stage.epochs:
            for batch in stage.batches(position.epoch, position.batch):
                for group in optimizer.param_groups:
                    group["lr"] = stage.optimization.rate(position.epoch * steps + position.batch)
                compute = partial(_shard_gradients, task, accelerator.backward, stage, seed, position)
                _step(compute, prepared, stage, batch.on(accelerator.device), position)
                position.batch += 1
                position.seconds, position.cpu_seconds = since(began)
                recorder.step(position, optimizer)
            summary = _summary(stage, position, began)
            position.begin_next_epoch()
            stage.after_epoch(position.epoch)
            recorder.epoch(position, optimizer, summary)
            began = clocks()
    accelerator.free_memory()


def _summary(stage: Stage, position: Position, began: tuple[float, float]) -> dict[str, float]:
    """Return the measurements of an epoch that has just ended."""
    position.read()
    seconds, cpu_seconds = since(began)  # after the loader's workers have finished
    last = position.epoch * (stage.optimization.steps // stage.epochs) + position.batch - 1
    return {
        "loss": position.mean_loss(),
        "learning_rate": stage.optimization.rate(last),
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
    }


def train_only(module: nn.Module, parameters: list[nn.Parameter]) -> None:
    """Make `parameters` trainable and freeze the rest of the module."""
    module.requires_grad_(False)
    for parameter in parameters:
        parameter.requires_grad_(True)


def add_gradients(
    task: Callable[..., torch.Tensor],
    backward: Callable[[torch.Tensor], object],
    batch: Batch,
    epoch: int,
    weight: float = 1.0,
    last: bool = True,
) -> torch.Tensor:
    """Accumulate the gradients of a batch and return its loss, `weight` times the sum over its streams.

    Each stream has its own backward pass: the gradient of a sum is the sum of the gradients, and memory holds the
    activations of one stream only. A task that exchanges its gradients does so in the `last` backward pass of a step.
    """
    total = torch.zeros((), device=batch.labels.device)
    inputs, labels = batch.inputs.chunk(batch.streams), batch.labels.chunk(batch.streams)
    for stream in range(batch.streams):
        with exchange.exchanging(task, last and stream == batch.streams - 1, batch.labels.device.type):
            loss = weight * task(inputs[stream], labels[stream], epoch, stream)
            backward(loss)
        total += loss.detach()
    return total


def _shard_gradients(
    task: nn.Module,
    backward: Callable[[torch.Tensor], object],
    stage: Stage,
    seed: int,
    position: Position,
    batch: Batch,
    last: bool,
) -> torch.Tensor:
    """Accumulate the gradients of one shard; its noise depends on its place, not on earlier draws."""
    (piece,) = batch.pieces
    shard = ("shard", piece.shard) if stage.shards > 1 else ()
    torch.manual_seed(key(seed, str(stage.key), position.epoch, position.batch, *shard))
    weight = piece.share if stage.in_order else piece.share * processes.count()  # the exchange averages
    return add_gradients(task, backward, batch, position.epoch, weight, last)


def _step(
    compute: Callable[[Batch, bool], torch.Tensor],
    optimizer: torch.optim.Optimizer,
    stage: Stage,
    batch: Batch,
    position: Position,
) -> None:
    """Take a step, of which this process computes its shards, and add the loss of the whole batch to the position."""
    sum_gradients = summed if stage.in_order and stage.shards > 1 else accumulated
    loss = sum_gradients(stage.parameters, [partial(compute, part) for part in batch.parts()])
    position.unread.append(Unread(loss, position.batch + 1, batch.names))
    if position.batch == 0 or len(position.unread) >= READ_EVERY.get(loss.total.device.type, 1):
        position.read()
    optimizer.step()
    optimizer.zero_grad()
