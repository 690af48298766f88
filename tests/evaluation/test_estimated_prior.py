"""Class frequencies estimated without labels: against a literal expectation maximization, and on drawn label shifts."""

import shutil

import numpy as np
import pytest
import torch

from lptpp import api
from lptpp.config import load_settings
from lptpp.evaluation import estimated_prior
from lptpp.evaluation.estimated_prior import estimate, estimate_from
from lptpp.evaluation.prior import assumed_prior, expected_prior, prior_warnings, reweighed
from lptpp.evaluation.tta import Adjustment, with_estimate
from lptpp.prediction.options import PredictOptions
from lptpp.prediction.predict import predict_paths

pytestmark = pytest.mark.usefixtures("no_sections")
CLASSES, FEATURES = 10, 4


def calibrated(prior: np.ndarray, drawn: np.ndarray, images: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the exact posteriors p(c|x) under `prior` of images of Gaussian features drawn with other priors."""
    generator = np.random.default_rng(seed)
    centers = 1.8 * np.random.default_rng(7).normal(size=(CLASSES, FEATURES))
    labels = generator.choice(CLASSES, images, p=drawn)
    features = centers[labels] + generator.normal(size=(images, FEATURES))
    likelihoods = np.exp(-((features[:, None] - centers) ** 2).sum(-1) / 2)
    joint = likelihoods * prior
    return joint / joint.sum(1, keepdims=True), labels


def long_tail(reverse: bool = False) -> np.ndarray:
    prior = 0.6 ** np.arange(CLASSES)
    return (prior[::-1] if reverse else prior) / prior.sum()


def test_the_estimate_is_that_of_expectation_maximization_written_out():
    assumed = long_tail()
    probabilities, _ = calibrated(assumed, long_tail(reverse=True), 60, 0)
    found = assumed.tolist()
    for _ in range(1000):
        totals = [CLASSES * assumed[c] for c in range(CLASSES)]
        for p in probabilities:
            scores = [p[c] * found[c] / assumed[c] for c in range(CLASSES)]
            for c in range(CLASSES):
                totals[c] += scores[c] / sum(scores)
        found = [total / (60 + CLASSES) for total in totals]
    np.testing.assert_allclose(estimate(probabilities, assumed), found, atol=1e-3)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("assumed", [np.full(CLASSES, 1 / CLASSES), long_tail()], ids=["uniform", "long-tailed"])
@pytest.mark.parametrize("shift", ["none", "reversed", "drawn", "one"])
def test_drawn_label_shifts_are_recovered_and_accuracy_is_not_lower(shift, assumed, seed):
    one = np.full(CLASSES, 0.3 / (CLASSES - 1))
    one[4] = 0.7
    shifts = {
        "none": assumed,
        "reversed": long_tail(reverse=True),
        "drawn": np.random.default_rng(seed).dirichlet(np.ones(CLASSES)),
        "one": one,
    }
    probabilities, labels = calibrated(assumed, shifts[shift], 3000, seed)
    found = estimate(probabilities, assumed)
    true = np.bincount(labels, minlength=CLASSES) / len(labels)
    assert np.abs(found - true).sum() < max(0.12, 0.3 * np.abs(assumed - true).sum())
    after = reweighed(torch.from_numpy(probabilities), found, assumed).argmax(1).numpy()
    before = (probabilities.argmax(1) == labels).mean()
    assert (after == labels).mean() >= before - 0.005 * (shift == "none")
    if np.abs(assumed - true).sum() > 1:
        assert (after == labels).mean() > before + 0.05


def test_few_images_rule_no_class_out():
    probabilities, _ = calibrated(long_tail(), long_tail(), 5, 0)
    found = estimate(probabilities, long_tail())
    assert found.min() > 0 and found.sum() == pytest.approx(1)


def test_of_too_many_probabilities_some_batches_are_used(monkeypatch, caplog):
    caplog.set_level("INFO", "lptpp")
    names = [f"class {index}" for index in range(CLASSES)]
    probabilities, _ = calibrated(long_tail(), long_tail(), 120, 0)
    parts = torch.from_numpy(probabilities).split(10)
    monkeypatch.setattr(estimated_prior, "MOST_NUMBERS", 500)  # of 1,200
    found = estimate_from(parts, 120, long_tail(), names)
    np.testing.assert_allclose(found, estimate(np.concatenate(parts[::3]), long_tail()))
    assert "estimated from 40 images" in caplog.text
    assert estimate_from([], 0, long_tail(), names).tolist() == long_tail().tolist()


def test_the_views_and_the_temperature_come_first():
    assumed = np.full(3, 1 / 3)
    views = torch.tensor([[[0.6, 0.3, 0.1], [0.2, 0.3, 0.5]]] * 20)
    whole = Adjustment("flip", 2.0, (assumed, assumed))
    found = with_estimate(whole, [views], 20, ["a", "b", "c"])
    expected = estimate(Adjustment("flip", 2.0)(views).numpy(), assumed)
    np.testing.assert_allclose(found.priors[0], expected)
    assert (found.views, found.temperature) == ("flip", 2.0)


def test_evaluate_and_predict_estimate_it_from_their_images(trained, pictures, tmp_path, caplog):
    caplog.set_level("INFO", "lptpp")
    run = tmp_path / "run"
    shutil.copytree(trained.folder, run)
    metrics = api.evaluate(run, ["evaluation.prior=estimated", "evaluation.baselines=[]"])
    assert "mixture.prior=estimated" in metrics["rows"]
    (sentence,) = [message for message in caplog.messages if "estimated from 12 images" in message]
    caplog.clear()
    output = tmp_path / "out.csv"
    predict_paths(run, [pictures / "test"], output, PredictOptions(prior="estimated", top_k=4))
    assert sentence in caplog.messages
    again = tmp_path / "again.csv"
    predict_paths(run, [pictures / "test"], again, PredictOptions(top_k=4))
    assert output.read_text() != again.read_text()


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["phase2.main.sampler=class_balanced"], "changes nothing: class_balanced sampling with the loss a_gcl"),
        (
            ["phase2.main.sampler=class_balanced", "evaluation.assumed=training"],
            "is not what class_balanced sampling with the loss a_gcl assumes. The scores are already balanced.",
        ),
        (["phase2.main.sampler=instance_balanced"], "instance_balanced sampling with the loss a_gcl already balances"),
        (["phase2.main.sampler=instance_balanced", "phase2.main.loss.name=cross_entropy"], None),
        (["phase2.main.sampler=instance_balanced", "evaluation.prior=estimated"], None),
    ],
)
def test_a_prior_on_balanced_scores_is_a_warning(overrides, message, tmp_path):
    path = tmp_path / "empty.yaml"
    path.touch()
    plain = ["phase2.main.loss.options={}"]
    settings = load_settings(path, ["evaluation.prior=uniform", *plain, *overrides])
    counts, names = np.array([50, 10, 2]), ["a", "b", "c"]
    assumed = assumed_prior(settings.evaluation.assumed, names, counts, settings)
    expected = assumed if settings.evaluation.prior == "estimated" else expected_prior("uniform", names, counts)
    found = list(prior_warnings(settings, expected, assumed, counts))
    assert (message is None and found == []) or message in found[0]
