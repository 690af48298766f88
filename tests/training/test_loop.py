from collections.abc import Iterator

import pytest
import torch
from torch import nn

from lptpp.config import PhaseSettings, Settings
from lptpp.config.stages import StageKey
from lptpp.inference.runtime import make_accelerator
from lptpp.training.loop import Batch, Position, Stage, add_gradients, clocks, train, train_only
from lptpp.training.optim import Optimization
from lptpp.training.shards import Loss
from lptpp.training.unread import READ_EVERY, Unread
from lptpp.utils.errors import Ended, UserError

EPOCHS, STEPS = 3, 4
STAGE = StageKey("visual", 1)


class Task(nn.Module):
    """A weight and an offset that stays; every step's loss is noted."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(2))
        self.fixed = nn.Parameter(torch.ones(2))
        self.losses: list[float] = []

    def forward(self, inputs: torch.Tensor, labels: torch.Tensor, epoch: int, stream: int) -> torch.Tensor:
        loss = (inputs * self.weight + self.fixed + 0.1 * torch.randn(2)).square().mean()
        self.losses.append(loss.item())
        return loss


class Notes:
    def __init__(self) -> None:
        self.steps: list[tuple[int, int]] = []
        self.summaries: list[dict[str, float]] = []
        self.rates: list[float] = []

    def step(self, position: Position, optimizer: torch.optim.Optimizer) -> None:
        self.steps.append((position.epoch, position.batch))
        self.rates.append(optimizer.param_groups[0]["lr"])

    def epoch(self, position: Position, optimizer: torch.optim.Optimizer, summary: dict[str, float]) -> None:
        assert (position.batch, position.loss_sum) == (0, 0.0)
        self.summaries.append(summary)


def batches(epoch: int, first: int) -> Iterator[Batch]:
    for number in range(first, STEPS):
        yield Batch(torch.full((5, 2), epoch + number / STEPS), torch.zeros(5, dtype=torch.long), lambda: ["x"])


def trained(position: Position) -> tuple[Task, Notes, Stage]:
    task, notes = Task(), Notes()
    optimization = Optimization("sgd", 0.1, 0.0, 2, EPOCHS * STEPS, 256)
    stage = Stage(STAGE, task, [task.weight], optimization, EPOCHS, batches)
    train(stage, make_accelerator("cpu", "float32"), notes, 0, position, None)
    return task, notes, stage


def test_every_batch_of_every_epoch_is_one_step_at_its_rate():
    _, notes, stage = trained(Position(STAGE))
    assert notes.steps == [(epoch, batch + 1) for epoch in range(EPOCHS) for batch in range(STEPS)]
    assert notes.rates == [stage.optimization.rate(step) for step in range(EPOCHS * STEPS)]


def test_the_loss_of_an_epoch_is_the_mean_of_its_steps():
    task, notes, stage = trained(Position(STAGE))
    for epoch, summary in enumerate(notes.summaries):
        assert summary["loss"] == pytest.approx(sum(task.losses[epoch * STEPS : (epoch + 1) * STEPS]) / STEPS)
        assert summary["learning_rate"] == stage.optimization.rate((epoch + 1) * STEPS - 1)


def test_an_epoch_begun_elsewhere_counts_what_was_lost_there():
    task, notes, stage = trained(Position(STAGE, epoch=1, batch=2, loss_sum=10.0))
    assert notes.summaries[0]["loss"] == pytest.approx((10 + sum(task.losses[:2])) / STEPS)
    assert len(notes.summaries) == EPOCHS - 1
    _, notes, _ = trained(Position(STAGE, epoch=1, batch=STEPS, loss_sum=10.0))  # stopped after its last step
    assert notes.summaries[0]["loss"] == pytest.approx(10 / STEPS)
    assert notes.summaries[0]["learning_rate"] == stage.optimization.rate(2 * STEPS - 1)


def test_only_the_parameters_of_a_stage_are_trained():
    task, _, _ = trained(Position(STAGE))
    assert task.fixed.tolist() == [1, 1]
    assert task.fixed.grad is None
    assert task.weight.tolist() != [1, 1]
    train_only(task, [task.fixed])
    assert (task.weight.requires_grad, task.fixed.requires_grad) == (False, True)


def test_the_noise_of_a_step_belongs_to_the_step():
    """Whatever was drawn before, the same step draws the same."""
    torch.manual_seed(1)
    first = trained(Position(STAGE))[0].losses
    torch.manual_seed(2)
    assert trained(Position(STAGE))[0].losses == first
    assert len(set(first)) == len(first)


def test_what_preparing_a_stage_took_counts_with_its_first_epoch_alone():
    task, notes = Task(), Notes()
    optimization = Optimization("sgd", 0.1, 0.0, 2, EPOCHS * STEPS, 256)
    wall, processor = clocks()
    began = (wall - 1000, processor - 500)
    stage = Stage(STAGE, task, [task.weight], optimization, EPOCHS, batches, began=began)
    train(stage, make_accelerator("cpu", "float32"), notes, 0, Position(STAGE), None)
    first, *rest = notes.summaries
    assert 1000 < first["seconds"] < 1400 and 500 < first["cpu_seconds"] < 900
    assert all(summary["seconds"] < 400 and summary["cpu_seconds"] < 400 for summary in rest)


def test_what_an_epoch_took_before_a_stop_counts():
    _, notes, _ = trained(Position(STAGE, epoch=1, batch=1, seconds=1000.0, cpu_seconds=500.0))
    first, *rest = notes.summaries
    assert 1000 < first["seconds"] < 1400 and 500 < first["cpu_seconds"] < 900
    assert all(summary["seconds"] < 400 and summary["cpu_seconds"] < 400 for summary in rest)


class Streams(nn.Module):
    """A square loss of two streams, the second worth a third; what is in memory at a time is noted."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([1.0, -2.0], dtype=torch.float64))
        self.seen: list[str] = []

    def forward(self, inputs: torch.Tensor, labels: torch.Tensor, epoch: int, stream: int) -> torch.Tensor:
        self.seen.append(f"forward {stream}")
        return (inputs @ self.weight - labels).square().mean() / (1, 3)[stream]

    def backward(self, loss: torch.Tensor) -> None:
        self.seen.append("backward")
        loss.backward()


def two_streams(spoiled: int | None = None) -> Batch:
    inputs = torch.randn(8, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    if spoiled is not None:
        inputs[spoiled] = torch.nan
    return Batch(inputs, torch.arange(8), lambda: ["a.png", "b.png"], 2)


def test_the_gradients_of_the_streams_are_those_of_their_summed_loss():
    task, batch = Streams(), two_streams()
    found = add_gradients(task, task.backward, batch, 0)
    assert task.seen == ["forward 0", "backward", "forward 1", "backward"]
    errors = batch.inputs @ task.weight - batch.labels
    whole = errors[:4].square().mean() + errors[4:].square().mean() / 3
    torch.testing.assert_close(found.double(), whole.detach(), atol=0, rtol=1e-6)
    assert not found.requires_grad
    torch.testing.assert_close(task.weight.grad, torch.autograd.grad(whole, task.weight)[0], atol=1e-12, rtol=0)


@pytest.mark.parametrize("spoiled", [0, 7], ids=["first stream", "second stream"])
def test_a_stream_whose_loss_is_not_finite_stops_the_run_before_the_step(spoiled: int):
    task = Streams()
    optimization = Optimization("sgd", 0.1, 0.0, 0, 1, 256)
    stage = Stage(STAGE, task, [task.weight], optimization, 1, lambda epoch, first: [two_streams(spoiled)])
    with pytest.raises(UserError, match=r"nan in visual/phase1, epoch 1, step 1, on a\.png, b\.png"):
        train(stage, make_accelerator("cpu", "float32"), Notes(), 0, Position(STAGE), None)
    assert task.weight.tolist() == [1.0, -2.0]


def test_losses_read_every_few_steps_change_nothing(monkeypatch):
    task, notes, _ = trained(Position(STAGE))
    seen: list[int] = []

    def step(self: Notes, position: Position, optimizer: torch.optim.Optimizer) -> None:
        seen.append(len(position.unread))

    monkeypatch.setitem(READ_EVERY, "cpu", 3)
    monkeypatch.setattr(Notes, "step", step)
    torch.manual_seed(0)
    late, late_notes, _ = trained(Position(STAGE))
    assert seen == [0, 1, 2, 0] * EPOCHS  # the first is read at once, so that progress shows it
    assert late.losses == task.losses
    assert torch.equal(late.weight, task.weight)
    assert [one["loss"] for one in late_notes.summaries] == [one["loss"] for one in notes.summaries]


@pytest.mark.parametrize("step", [1, 2, 3, STEPS])
def test_a_loss_that_is_not_finite_is_named_before_anything_is_saved(step, monkeypatch):
    def forward(self: Task, inputs: torch.Tensor, labels: torch.Tensor, epoch: int, stream: int) -> torch.Tensor:
        bad = bool((inputs[0, 0] == (step - 1) / STEPS) & (epoch == 0))
        return (self.weight * inputs).sum() * (float("nan") if bad else 1.0)

    saved = []
    monkeypatch.setitem(READ_EVERY, "cpu", 10)
    monkeypatch.setattr(Task, "forward", forward)
    monkeypatch.setattr(Notes, "epoch", lambda *_: saved.append("epoch"))
    with pytest.raises(UserError, match=rf"nan in visual/phase1, epoch 1, step {step}, on x"):
        trained(Position(STAGE))
    assert saved == []


def test_saving_reads_what_is_unread():
    loss = torch.tensor(2.0)
    position = Position(STAGE, batch=1, loss_sum=1.0, unread=[Unread(Loss(loss, [loss]), 1, lambda: ["x"])])
    assert position.saved()["loss_sum"] == 3.0
    assert (position.last_loss, position.unread) == (2.0, [])
    bad = torch.tensor(torch.inf)
    position.unread = [Unread(Loss(bad, [bad]), 2, lambda: ["x"])]
    with pytest.raises(UserError, match="The loss is inf"):
        position.saved()
    position.unread = [Unread(Loss(bad, [loss]), 2, lambda: ["x"])]
    with pytest.raises(Ended):
        position.saved()


def test_a_position_names_the_next_epoch_or_the_end_of_its_stage():
    settings = Settings(phase1=PhaseSettings(epochs=EPOCHS))
    assert Position(STAGE, epoch=EPOCHS - 1, batch=2).described(settings) == "visual/phase1, epoch 3"
    assert Position(STAGE, epoch=EPOCHS).described(settings) == "the end of visual/phase1"
