"""Mixtures without a scorer against loops, and their weights against a search."""

import math

import numpy as np
import pytest
import torch

from lptpp.models.controls import MixingControls, class_weights, constant_weight, oracle
from lptpp.models.scorer import MIXES


def scores(seed: int = 0, images: int = 40, classes: int = 5) -> tuple[torch.Tensor, torch.Tensor]:
    """Return scores (n, 2, C) of a good and a bad expert, and labels (n,)."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(classes, (images,), generator=generator)
    logits = torch.randn(images, 2, classes, generator=generator, dtype=torch.float64)
    logits[torch.arange(images), 0, labels] += 2
    logits[torch.arange(images), 1, labels] += 0.5
    return logits.softmax(-1), labels


def cross_entropy(mixed: torch.Tensor, labels: torch.Tensor) -> float:
    return -sum(math.log(float(mixed[image, label])) for image, label in enumerate(labels)) / len(labels)


@pytest.mark.parametrize("mixes", list(MIXES))
def test_the_constant_weight_is_the_best_of_a_search(mixes):
    probabilities, labels = scores()
    controls = MixingControls(2, 5).double()
    controls.fit(probabilities, labels, MIXES[mixes])
    found = cross_entropy(constant_weight(probabilities, controls.constant, MIXES[mixes]), labels)
    tried = [
        cross_entropy(MIXES[mixes](probabilities, torch.tensor([[w, 1 - w]]).expand(40, -1)), labels)
        for w in np.linspace(0, 1, 201)
    ]
    assert found == pytest.approx(min(tried), abs=2e-3)
    assert float(controls.constant.softmax(-1)[0]) == pytest.approx(np.linspace(0, 1, 201)[np.argmin(tried)], abs=0.05)


def test_weights_of_classes_are_those_of_a_loop_and_better_than_one_weight_where_they_learned():
    probabilities, labels = scores()
    controls = MixingControls(2, 5).double()
    controls.fit(probabilities, labels, MIXES["probabilities"])
    found = class_weights(probabilities, controls.of_classes)
    for image in range(40):
        mixed = [
            sum(float(controls.of_classes[c].softmax(-1)[e] * probabilities[image, e, c]) for e in range(2))
            for c in range(5)
        ]
        assert found[image].tolist() == pytest.approx([one / sum(mixed) for one in mixed])
    constant = constant_weight(probabilities, controls.constant, MIXES["probabilities"])
    assert cross_entropy(found, labels) < cross_entropy(constant, labels)


def test_a_class_without_images_keeps_equal_weights_and_scores_of_the_truth_alone_fit_no_classes():
    probabilities, labels = scores(classes=6)
    kept = labels != 3
    controls = MixingControls(2, 6).double()
    of_truth = probabilities.gather(2, labels[:, None, None].expand(-1, 2, 1))
    controls.fit(of_truth, torch.zeros_like(labels), MIXES["probabilities"])
    whole = MixingControls(2, 6).double()
    whole.fit(probabilities, labels, MIXES["probabilities"])
    torch.testing.assert_close(controls.constant, whole.constant, rtol=1e-2, atol=1e-2)
    assert not controls.of_classes.any()
    whole.fit(probabilities[kept], labels[kept], MIXES["probabilities"])
    assert (whole.of_classes[3].softmax(-1) - 0.5).abs().max() < 0.5  # finite: nothing pulls it to an end


def test_untrained_rules_are_the_plain_average_and_the_other_average_is_a_row():
    probabilities, _ = scores()
    rows = MixingControls(2, 5).double().rows(probabilities, MIXES["probabilities"])
    assert list(rows) == ["average_logits", "constant_weight"]  # class weights only if they are fitted
    torch.testing.assert_close(rows["constant_weight"], probabilities.mean(1))
    torch.testing.assert_close(rows["average_logits"], probabilities.log().mean(1).softmax(-1))


def test_the_oracle_is_right_wherever_an_expert_is():
    probabilities, labels = scores()
    found = oracle(probabilities, labels)
    right = found.argmax(-1) == labels
    assert right.tolist() == (probabilities.argmax(-1) == labels[:, None]).any(1).tolist()
    assert 0 < right.sum() < 40
    assert all(any(torch.equal(found[i], probabilities[i, e]) for e in range(2)) for i in range(40))
