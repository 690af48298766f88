import math

import pytest
import torch
from torch import nn

from lptpp.training.optim import Optimization, optimizer_tensors, restore_optimizer


def optimization(name: str = "sgd", warmup: float = 5, steps: int = 40, batch_size: int = 128) -> Optimization:
    return Optimization(name, 0.02, 0.01, warmup, steps, batch_size)


def literal_rates(warmup: int, steps: int, peak: float) -> list[float]:
    rates = []
    for step in range(steps):
        if step < warmup:
            rates.append(peak / (warmup + 1) * (step + 1))
        else:
            angle = math.pi * (step - warmup) / (steps - warmup)
            rates.append(peak / 2 * (1 + math.cos(angle)))
    return rates


@pytest.mark.parametrize("warmup, steps, batch_size", [(5, 40, 128), (0, 7, 256), (10, 10, 64), (3, 30, 512)])
def test_the_rate_warms_up_in_a_line_and_then_falls_as_a_cosine(warmup, steps, batch_size):
    found = [optimization(warmup=warmup, steps=steps, batch_size=batch_size).rate(step) for step in range(steps)]
    assert found == pytest.approx(literal_rates(warmup, steps, 0.02 * batch_size / 256))


@pytest.mark.parametrize("warmup, steps, batch_size", [(5, 40, 128), (0.5, 7, 256), (0, 7, 256), (3, 30, 512)])
def test_a_flat_warm_up_has_one_small_rate_and_then_falls_as_a_cosine(warmup, steps, batch_size):
    flat = Optimization("sgd", 0.02, 0.01, warmup, steps, batch_size, warmup_rate=0.0004)
    falling = literal_rates(warmup, steps, 0.02 * batch_size / 256)
    for step in range(steps):
        expected = 0.0004 * batch_size / 256 if step < warmup else falling[step]
        assert flat.rate(step) == pytest.approx(expected)


def test_the_rate_peaks_right_after_the_warm_up_and_is_never_zero_before_the_end():
    rates = [optimization(batch_size=256).rate(step) for step in range(40)]
    assert max(rates) == rates[5] == pytest.approx(0.02)
    assert min(rates) > 0


def model() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2))


def steps(network: nn.Module, optimizer: torch.optim.Optimizer, first: int, last: int) -> None:
    for step in range(first, last):
        torch.manual_seed(step)
        network(torch.randn(5, 4)).square().sum().backward()
        for group in optimizer.param_groups:
            group["lr"] = 0.01
        optimizer.step()
        optimizer.zero_grad()


@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_a_restored_optimizer_goes_on_bit_by_bit(name):
    unbroken, broken = model(), model()
    whole = optimization(name).build(unbroken.parameters())
    steps(unbroken, whole, 0, 6)
    first = optimization(name).build(broken.parameters())
    steps(broken, first, 0, 3)
    tensors = {key: value.clone() for key, value in optimizer_tensors(first).items()}
    second = optimization(name).build(broken.parameters())
    restore_optimizer(second, tensors)
    assert optimizer_tensors(second).keys() == tensors.keys() != set()
    assert all(torch.equal(value, tensors[key]) for key, value in optimizer_tensors(second).items())
    steps(broken, second, 3, 6)
    for expected, found in zip(unbroken.parameters(), broken.parameters(), strict=True):
        assert torch.equal(expected, found)


@pytest.mark.parametrize("name, kind", [("sgd", torch.optim.SGD), ("adamw", torch.optim.AdamW)])
def test_it_builds_the_optimizer_of_that_name(name, kind):
    built = optimization(name).build(model().parameters())
    assert type(built) is kind
    assert built.param_groups[0]["weight_decay"] == 0.01
    assert built.param_groups[0].get("momentum", 0.9) == 0.9
