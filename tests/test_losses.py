import math

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, softmax

from lptpp.losses import AGCL, LOSSES, build_loss, rarity
from lptpp.utils.errors import UserError

SCALE = 20.0
COUNTS = torch.tensor([500, 120, 40, 9, 1])
CLASSES = len(COUNTS)


def batch(size: int = 12) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    cosines = torch.rand(size, CLASSES, generator=generator) * 2 - 1
    return cosines, torch.randint(CLASSES, (size,), generator=generator)


def softmax_batch(cosines: torch.Tensor) -> np.ndarray:
    return log_softmax(SCALE * cosines.double().numpy(), axis=1)


def test_rarity_goes_from_zero_for_the_largest_class_to_one_for_the_smallest():
    assert rarity(torch.tensor([100, 10, 1])).tolist() == pytest.approx([0, 0.5, 1])
    assert rarity(torch.tensor([7, 7, 7])).tolist() == [0, 0, 0]
    assert rarity(torch.tensor([100, 10, 0])).tolist() == pytest.approx([0, 0.5, 1])


@pytest.mark.parametrize("positive, negative, smoothing", [(0, 4, 0.1), (0.5, 8, 0.1), (1.5, 0.5, 0.3), (0, 0, 0)])
def test_a_gcl_equals_the_formula_written_as_loops(positive, negative, smoothing):
    margin, strength = 0.1, 0.5
    cosines, labels = batch()
    loss = AGCL(COUNTS, SCALE, margin, strength, positive, negative, smoothing)
    torch.manual_seed(11)
    found = loss(cosines, labels).item()
    torch.manual_seed(11)
    draws = torch.randn(cosines.shape)

    largest, smallest = max(COUNTS.tolist()), min(COUNTS.tolist())
    total = 0.0
    for b, label in enumerate(labels.tolist()):
        logits = []
        for c, count in enumerate(COUNTS.tolist()):
            delta = (math.log(largest) - math.log(count)) / (math.log(largest) - math.log(smallest))
            epsilon = min(1.0, max(-1.0, draws[b, c].item() / 3))
            z = cosines[b, c].item() - strength * abs(epsilon) * delta - margin * (c == label)
            logits.append(SCALE * z)
        denominator = sum(math.exp(logit) for logit in logits)
        for c, logit in enumerate(logits):
            p = math.exp(logit) / denominator
            target = (1 - smoothing) * (c == label) + smoothing / CLASSES
            weight = (1 - p) ** positive if c == label else p**negative
            total -= target * weight * math.log(p)
    assert found == pytest.approx(total / len(labels), rel=1e-5, abs=1e-5)


def test_the_gradient_of_a_gcl_equals_finite_differences():
    loss = AGCL(COUNTS, scale=2.0, noise=0.0, positive_focus=0.5, negative_focus=1.5)
    cosines, labels = batch(3)
    cosines.requires_grad_()
    loss(cosines, labels).backward()
    step = 1e-2
    for index in np.ndindex(*cosines.shape):
        moved = torch.zeros_like(cosines)
        moved[index] = step
        slope = (loss(cosines + moved, labels) - loss(cosines - moved, labels)) / (2 * step)
        assert cosines.grad[index].item() == pytest.approx(slope.item(), abs=2e-4)


def test_gcl_is_a_gcl_without_focus_and_smoothing():
    cosines, labels = batch()
    plain = {"positive_focus": 0.0, "negative_focus": 0.0, "smoothing": 0.0}
    values = []
    for name, options in (("gcl", {}), ("a_gcl", plain)):
        torch.manual_seed(5)
        values.append(build_loss(name, COUNTS, SCALE, options)(cosines, labels).item())
    assert values[0] == pytest.approx(values[1], rel=1e-6)


def test_the_noise_comes_from_the_global_generator():
    cosines, labels = batch()
    loss = build_loss("gcl", COUNTS, SCALE, {})
    values = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        values.append(loss(cosines, labels).item())
    assert values[0] == values[1] != values[2]


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_cross_entropy_equals_a_loop(smoothing):
    cosines, labels = batch()
    log_p = softmax_batch(cosines)
    wanted = np.mean([-(1 - smoothing) * row[y] - smoothing * row.mean() for row, y in zip(log_p, labels, strict=True)])
    found = build_loss("cross_entropy", COUNTS, SCALE, {"smoothing": smoothing})(cosines, labels)
    assert found.item() == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize("tau", [0.0, 1.0, 1.7])
def test_logit_adjustment_equals_a_softmax_weighted_by_the_prior(tau):
    cosines, labels = batch()
    prior = COUNTS.double().numpy() / COUNTS.sum().item()
    losses = []
    for row, label in zip(cosines.double().numpy(), labels.tolist(), strict=True):
        weighted = prior**tau * np.exp(SCALE * row)
        losses.append(-math.log(weighted[label] / weighted.sum()))
    found = build_loss("logit_adjustment", COUNTS, SCALE, {"tau": tau})(cosines, labels)
    assert found.item() == pytest.approx(np.mean(losses), rel=1e-5)


def test_ldam_takes_the_margin_off_the_true_class():
    cosines, labels = batch()
    constant = 0.4 / max(count**-0.25 for count in COUNTS.tolist())
    losses = []
    for row, label in zip(cosines.double().numpy(), labels.tolist(), strict=True):
        logits = SCALE * row
        logits[label] -= SCALE * constant / COUNTS[label].item() ** 0.25
        losses.append(-log_softmax(logits)[label])
    found = build_loss("ldam", COUNTS, SCALE, {"largest_margin": 0.4})(cosines, labels)
    assert found.item() == pytest.approx(np.mean(losses), rel=1e-5)


@pytest.mark.parametrize("focus", [0.0, 0.5, 2.0])
def test_focal_equals_a_loop(focus):
    cosines, labels = batch()
    probabilities = softmax(SCALE * cosines.double().numpy(), axis=1)
    true = [row[label] for row, label in zip(probabilities, labels.tolist(), strict=True)]
    wanted = np.mean([-((1 - p) ** focus) * math.log(p) for p in true])
    found = build_loss("focal", COUNTS, SCALE, {"focus": focus})(cosines, labels)
    assert found.item() == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize("beta", [0.0, 0.9, 0.9999])
def test_class_balanced_equals_a_loop(beta):
    cosines, labels = batch()
    weights = [(1 - beta) / (1 - beta**count) for count in COUNTS.tolist()]
    weights = [weight * CLASSES / sum(weights) for weight in weights]
    log_p = softmax_batch(cosines)
    wanted = np.mean([-weights[y] * row[y] for row, y in zip(log_p, labels.tolist(), strict=True)])
    found = build_loss("class_balanced", COUNTS, SCALE, {"beta": beta})(cosines, labels)
    assert found.item() == pytest.approx(wanted, rel=1e-5)


NASTY_COUNTS = {
    "balanced": [5, 5, 5, 5],
    "empty classes": [0, 300, 0, 2],
    "one class has everything": [0, 0, 1000, 0],
    "nothing": [0, 0, 0, 0],
    "a million": [1_000_000, 3, 1, 1],
}
NASTY_COSINES = {
    "saturated right": [[1.0, -1.0, -1.0, -1.0], [-1.0, -1.0, 1.0, -1.0]],
    "saturated wrong": [[-1.0, 1.0, 1.0, 1.0], [1.0, 1.0, -1.0, 1.0]],
    "equal": [[0.0, 0.0, 0.0, 0.0], [1.0, 1.0, 1.0, 1.0]],
}
DEVICES = ["cpu"] + ["cuda"] * torch.cuda.is_available()


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("counts", NASTY_COUNTS.values(), ids=NASTY_COUNTS)
@pytest.mark.parametrize("cosines", NASTY_COSINES.values(), ids=NASTY_COSINES)
@pytest.mark.parametrize("scale", [20.0, 200.0])
@pytest.mark.parametrize("device", DEVICES)
def test_loss_and_gradient_are_finite(name, counts, cosines, scale, device):
    focus = {"a_gcl": {"positive_focus": 0.5, "negative_focus": 0.5}, "focal": {"focus": 0.5}}
    loss = build_loss(name, torch.tensor(counts), scale, focus.get(name, {})).to(device)
    z = torch.tensor(cosines, device=device, requires_grad=True)
    value = loss(z, torch.tensor([0, 2], device=device))
    value.backward()
    assert value.dim() == 0 and value.isfinite()
    assert z.grad.isfinite().all()


@pytest.mark.parametrize("name", LOSSES)
def test_half_precision_cosines_give_a_float32_loss(name):
    cosines, labels = batch()
    loss = build_loss(name, COUNTS, SCALE, {})
    torch.manual_seed(0)
    wanted = loss(cosines.bfloat16().float(), labels)
    torch.manual_seed(0)
    with torch.autocast("cpu", torch.bfloat16):
        found = loss(cosines.bfloat16(), labels)
    assert found.dtype == torch.float32
    assert found.item() == wanted.item()


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_adds_nothing_to_a_checkpoint(name):
    loss = build_loss(name, COUNTS, SCALE, {})
    assert not loss.state_dict() and not list(loss.parameters())


@pytest.mark.parametrize(
    "name, options, words",
    [
        ("agcl", {}, "agcl: .*a_gcl"),
        ("xyz", {}, "xyz: .*a_gcl, gcl"),
        ("logit_adjustment", {"tua": 1.0}, "tua: .*tau"),
        ("focal", {"scale": 3.0}, "focus"),
        ("class_balanced", {"beta": 1.0}, r"beta=1\.0"),
    ],
)
def test_a_wrong_name_or_option_is_refused_with_what_was_meant(name, options, words):
    with pytest.raises(UserError, match=words):
        build_loss(name, COUNTS, SCALE, options)
