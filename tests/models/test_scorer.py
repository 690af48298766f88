"""The scorer and the ways to mix against loops."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lptpp.config.choices import READS
from lptpp.models.scorer import Scorer, weighted_average, weighted_logits

WIDTHS, CLASSES, IMAGES = (4, 3), 5, 6


def outputs(seed: int = 0) -> tuple[list[torch.Tensor], torch.Tensor]:
    torch.manual_seed(seed)
    return [torch.randn(IMAGES, width) for width in WIDTHS], torch.randn(IMAGES, 2, CLASSES).mul(2).softmax(-1)


def scorer(reads: str, trained: bool = True) -> Scorer:
    torch.manual_seed(1)
    made = Scorer(WIDTHS, hidden=7, classes=CLASSES, reads=reads)
    if trained:
        nn.init.normal_(made.last.weight)
        made.standardize(*outputs(seed=4))
    return made


def literal_input(features: list[torch.Tensor], probabilities: torch.Tensor, reads: str, image: int) -> np.ndarray:
    read = []
    if reads in ("features", "both"):
        for feature in features:
            one = feature[image].double().numpy()
            read.append(one / math.sqrt((one**2).sum()))
    if reads in ("confidences", "both"):
        read += [probabilities[image, expert].double().numpy() for expert in range(2)]
    return np.concatenate(read)


@pytest.mark.parametrize("reads", READS)
def test_the_weights_are_those_of_a_loop(reads):
    features, probabilities = outputs()
    made = scorer(reads)
    found = made(features, probabilities)
    hidden_weight, last_weight = (layer.weight.detach().double().numpy() for layer in (made.hidden, made.last))
    learned = np.stack([literal_input(*outputs(seed=4), reads, image) for image in range(IMAGES)])
    for image in range(IMAGES):
        read = (literal_input(features, probabilities, reads, image) - learned.mean(0)) / learned.std(0)
        hidden = np.maximum(hidden_weight @ read + made.hidden.bias.detach().numpy(), 0)
        powers = np.exp(last_weight @ hidden)
        assert found[image].tolist() == pytest.approx(powers / powers.sum(), rel=1e-4)


@pytest.mark.parametrize("reads", READS)
def test_untrained_it_weighs_all_alike(reads):
    assert torch.equal(scorer(reads, trained=False)(*outputs()), torch.full((IMAGES, 2), 0.5))


@pytest.mark.parametrize(("reads", "moves"), [("features", (True, False)), ("confidences", (False, True))])
def test_it_looks_only_at_what_it_reads(reads, moves):
    (features, probabilities), (others, other_probabilities) = outputs(), outputs(3)
    made = scorer(reads)
    before = made(features, probabilities)
    assert (not torch.allclose(made(others, probabilities), before)) == moves[0]
    assert (not torch.allclose(made(features, other_probabilities), before)) == moves[1]


def test_it_sees_how_sure_an_expert_is():
    """A layer norm of the logits would remove it: sharper scores of the same order must change the weights."""
    features, probabilities = outputs()
    made = scorer("confidences")
    sharper = (3 * probabilities.log()).softmax(-1)
    assert torch.equal(sharper.argsort(-1), probabilities.argsort(-1))
    assert not torch.allclose(made(features, sharper), made(features, probabilities), atol=1e-2)


def test_an_input_that_never_varied_is_not_blown_up():
    features, probabilities = outputs()
    made = scorer("confidences")
    made.standardize(features, torch.full_like(probabilities, 0.2))
    assert made.deviation.min() == pytest.approx(1e-3)


def test_it_looks_at_directions_of_features_alone():
    features, probabilities = outputs()
    made = scorer("features")
    weights = made(features, probabilities)
    torch.testing.assert_close(made([7 * features[0], 0.1 * features[1]], probabilities), weights)
    assert not torch.allclose(made([-features[0], features[1]], probabilities), weights, atol=1e-3)


def test_a_probability_of_zero_stays_finite():
    features, probabilities = outputs()
    probabilities[:, :, 0] = 0
    assert scorer("both")(features, probabilities).isfinite().all()
    assert weighted_logits(probabilities, torch.full((IMAGES, 2), 0.5)).isfinite().all()


def test_the_weighted_average_equals_a_loop():
    generator = torch.Generator().manual_seed(2)
    probabilities = torch.rand(3, 4, 6, generator=generator, dtype=torch.float64)
    weights = torch.rand(3, 4, generator=generator, dtype=torch.float64)
    found = weighted_average(probabilities, weights)
    for b in range(3):
        for c in range(6):
            assert float(found[b, c]) == pytest.approx(
                sum(float(weights[b, e] * probabilities[b, e, c]) for e in range(4))
            )


def test_weighted_logits_equal_a_loop_over_the_logits():
    logits = torch.randn(3, 2, 6, dtype=torch.float64) * 5
    weights = torch.rand(3, 2, dtype=torch.float64).softmax(-1)
    found = weighted_logits(logits.softmax(-1), weights)
    for b in range(3):
        sums = [sum(float(weights[b, e] * logits[b, e, c]) for e in range(2)) for c in range(6)]
        total = sum(math.exp(one) for one in sums)
        assert found[b].tolist() == pytest.approx([math.exp(one) / total for one in sums])


def test_it_learns_which_expert_to_trust():
    torch.manual_seed(3)
    made = Scorer([4, 4], hidden=8)
    features = [F.normalize(torch.randn(64, 4), dim=-1), torch.randn(64, 4)]
    first_is_right = features[0][:, 0] > 0
    confidences = (torch.stack([first_is_right.float(), (~first_is_right).float()], 1) * 0.8 + 0.1)[:, :, None]
    optimizer = torch.optim.Adam(made.parameters(), lr=0.05)
    for _ in range(60):
        loss = -weighted_average(confidences, made(features, confidences)).log().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    trusted = made(features, confidences)[:, 0] > 0.5
    assert (trusted == first_is_right).float().mean() > 0.9
