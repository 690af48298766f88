import json
import math
from contextlib import suppress
from dataclasses import asdict

import numpy as np
import pytest
import torch

from lptpp.evaluation.calibration import FILE, FittedTemperature, fit_temperature, read_fitted, tempered, write_fitted
from lptpp.utils.digest import sealed
from lptpp.utils.errors import UserError

FITTED = FittedTemperature(1.5, "validation", 12, 2.0, 1.8, "abc")


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


def drawn(images: int, truth: float, seed: int = 0) -> tuple[np.ndarray, torch.Tensor]:
    """Return logits (n, C) and labels (n,) that come as often as softmax(logits / truth) says."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(size=(images, 4)) * 3
    sums = softmax(logits / truth).cumsum(1)
    return logits, torch.from_numpy((generator.random((images, 1)) > sums).sum(1))


def fit(logits: np.ndarray, labels: torch.Tensor) -> FittedTemperature:
    probabilities = torch.from_numpy(softmax(logits)).float()
    batches = zip(probabilities.split(7), labels.split(7), strict=True)
    return fit_temperature(batches, "validation", "abc")


@pytest.mark.parametrize("temperature", [0.1, 0.7, 1.0, 3.0])
def test_tempering_is_the_softmax_of_the_logits_over_the_temperature(temperature):
    logits = drawn(20, 1.0)[0]
    found = tempered(torch.from_numpy(softmax(logits)), temperature)
    np.testing.assert_allclose(found.numpy(), softmax(logits / temperature), rtol=1e-6)


def test_probabilities_that_rounded_to_zero_stay_probabilities():
    found = tempered(torch.tensor([[1.0, 0.0, 0.0], [0.5, 0.5, 0.0]]), 0.05)
    np.testing.assert_allclose(found.numpy(), [[1, 0, 0], [0.5, 0.5, 0]], atol=1e-6)


@pytest.mark.parametrize("truth", [0.5, 1.0, 2.5])
def test_the_fit_finds_the_temperature_that_labels_were_drawn_with(truth):
    assert fit(*drawn(20000, truth)).temperature == pytest.approx(truth, rel=0.05)


def test_the_fit_is_the_best_of_a_fine_grid_of_temperatures():
    logits, labels = drawn(60, 2.0, seed=3)
    losses = {}
    for temperature in np.exp(np.arange(-1, 2, 0.001)):
        probabilities = softmax(logits / temperature)
        losses[temperature] = -np.mean([math.log(row[y]) for row, y in zip(probabilities, labels, strict=True)])
    best = min(losses, key=losses.__getitem__)
    found = fit(logits, labels)
    assert found.temperature == pytest.approx(best, rel=0.002)
    assert found.loss_after == pytest.approx(losses[best], rel=1e-5)
    assert found.loss_before == pytest.approx(losses[min(losses, key=lambda t: abs(t - 1))], rel=1e-4)
    assert (found.split, found.images, found.model) == ("validation", 60, "abc")


def test_without_a_mistake_the_fit_stays_within_its_range():
    found = fit_temperature([(torch.tensor([[0.9, 0.1]]), torch.tensor([0]))], "validation", "abc")
    assert 0.05 <= found.temperature < 0.2
    assert found.loss_after < 1e-6 < found.loss_before


def test_what_was_written_is_read(tmp_path):
    write_fitted(tmp_path, FITTED)
    assert read_fitted(tmp_path, "abc") == FITTED
    assert json.loads((tmp_path / FILE).read_text())["images"] == 12


def test_a_missing_a_broken_and_a_foreign_temperature_are_refused_with_what_to_do(tmp_path):
    fix = rf"`lptpp evaluate {tmp_path} evaluation\.temperature=fitted`"
    with pytest.raises(UserError, match=rf"{tmp_path} .*{fix}"):
        read_fitted(tmp_path, "abc")
    write_fitted(tmp_path, FITTED)
    with pytest.raises(UserError, match=rf"{FILE} .*weights.*{fix}"):
        read_fitted(tmp_path, "def")
    for content in ("{}", "[1]", '{"temperature": 1}'):
        (tmp_path / FILE).write_text(content)
        with pytest.raises(UserError, match=rf"{FILE} .*{fix}"):
            read_fitted(tmp_path, "abc")


def test_a_changed_temperature_is_refused(tmp_path):
    """At any byte; and one out of its range, with a digest that fits."""
    write_fitted(tmp_path, FITTED)
    path = tmp_path / FILE
    content = path.read_bytes()
    for place in range(len(content)):
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        with suppress(UserError):
            assert read_fitted(tmp_path, "abc") == FITTED  # a space
    for value in (0, -1, float("nan"), 1e9, "1", None, [1]):
        path.write_text(json.dumps(sealed({**asdict(FITTED), "temperature": value})))
        with pytest.raises(UserError, match=FILE):
            read_fitted(tmp_path, "abc")
