"""The linear and the balanced probe: against scikit-learn alone, the choice of C, and when there is no probe."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression

from lptpp.data.split import stratified_split
from lptpp.evaluation import probes
from lptpp.evaluation.probes import HELD_OUT, STRENGTHS, fit_probes, joint

KINDS = ["linear_probe", "balanced_probe"]
LONG_TAIL = [0] * 60 + [1] * 20 + [2] * 8 + [3] * 3 + [4]


def clusters(labels: list[int], seed: int, noise: float = 1.0) -> tuple[torch.Tensor, torch.Tensor]:
    centers = torch.eye(6)[torch.tensor(labels)]
    drawn = torch.randn(len(labels), 6, generator=torch.Generator().manual_seed(seed))
    return centers + noise * drawn, torch.tensor(labels)


def drawn_parts(noise: float = 0.5) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    even = [0, 1, 2, 3, 4] * 10
    parts = {"train": (LONG_TAIL, 0), "validation": (even, 1), "test": (even, 2)}
    return dict(joint([{name: clusters(labels, seed, noise) for name, (labels, seed) in parts.items()}]))


def accuracies(probabilities: np.ndarray, labels: np.ndarray) -> dict[str, tuple[float, float]]:
    """Return accuracy and log-likelihood, in the mean over the images and over the classes."""
    found = probabilities[np.arange(len(labels)), labels]
    each = np.stack([probabilities.argmax(1) == labels, np.log(np.maximum(found, 1e-12))], axis=1)  # (n, 2)
    by_class = [each[labels == label].mean(0) for label in np.unique(labels)]
    return {"linear_probe": tuple(np.mean(each, axis=0)), "balanced_probe": tuple(np.mean(by_class, axis=0))}


def literal(fit: tuple, chosen_on: tuple, kind: str) -> float:
    """Return the C with the best accuracy of its kind on other images, each fitted from nothing."""
    best, found = (-1.0, 0.0), 0.0
    prior = np.bincount(fit[1]) / len(fit[1])
    for strength in STRENGTHS:
        model = LogisticRegression(C=strength, max_iter=2000, tol=1e-8).fit(*fit)
        scores = model.predict_proba(chosen_on[0])
        if kind == "balanced_probe":
            scores = scores / prior[model.classes_]
            scores /= scores.sum(1, keepdims=True)
        whole = np.zeros((len(scores), 6))
        whole[:, model.classes_] = scores
        if (accuracy := accuracies(whole, chosen_on[1])[kind]) > best:
            best, found = accuracy, strength
    return found


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("source", ["validation", "training"])
def test_c_is_the_best_on_validation_or_on_held_out_training_images(kind, source):
    parts = drawn_parts()
    if source == "training":
        del parts["validation"]
    chosen = fit_probes(parts, KINDS, "test", 6, "visual")[kind]
    train, labels = parts["train"][0].numpy(), parts["train"][1].numpy()
    if source == "validation":
        expected = literal((train, labels), tuple(part.numpy() for part in parts["validation"]), kind)
    else:
        kept, drawn = stratified_split(labels, HELD_OUT, 0)
        expected = literal((train[kept], labels[kept]), (train[drawn], labels[drawn]), kind)
    assert expected == chosen.model.C
    whole = LogisticRegression(C=expected, max_iter=2000, tol=1e-8).fit(train, labels)  # on all training images
    np.testing.assert_allclose(chosen.model.predict_proba(train), whole.predict_proba(train), atol=0.01)


def test_the_evaluated_split_never_chooses():
    parts = drawn_parts()
    before = fit_probes(parts, KINDS, "validation", 6, "visual")
    features, labels = parts["validation"]
    parts["validation"] = features, labels.flip(0)
    after = fit_probes(parts, KINDS, "validation", 6, "visual")
    assert [probe.model.C for probe in before.values()] == [probe.model.C for probe in after.values()]


def test_the_balanced_probe_is_the_fit_with_the_logit_adjusted_loss():
    """Minimize Σ cross-entropy(W f + b + log π) + |W|² / (2 C) in full: its softmax(W f + b) is the balanced probe."""
    parts = drawn_parts()
    chosen = fit_probes(parts, ["balanced_probe"], "test", 6, "visual")["balanced_probe"]
    features, labels = parts["train"][0].double(), parts["train"][1]
    log_prior = torch.log(torch.bincount(labels) / len(labels)).double()

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        weights = torch.tensor(flat, requires_grad=True)
        w, b = weights[:30].reshape(5, 6), weights[30:]
        logits = features @ w.T + b + log_prior
        value = torch.nn.functional.cross_entropy(logits, labels, reduction="sum") + (w**2).sum() / 2 / chosen.model.C
        value.backward()
        return value.item(), weights.grad.numpy()

    found = torch.tensor(minimize(loss, np.zeros(35), jac=True, method="L-BFGS-B", options={"maxiter": 2000}).x)
    logits = parts["test"][0].double() @ found[:30].reshape(5, 6).T + found[30:]
    expected = logits.softmax(-1).numpy()
    np.testing.assert_allclose(chosen.probabilities(parts["test"][0].numpy(), 6)[:, :5], expected, atol=0.02)


def test_the_balanced_probe_is_better_in_the_mean_over_the_classes():
    parts = drawn_parts(noise=0.35)
    found = fit_probes(parts, KINDS, "test", 6, "visual")
    features, labels = (part.numpy() for part in parts["test"])
    means = [accuracies(found[kind].probabilities(features, 6), labels)["balanced_probe"][0] for kind in KINDS]
    assert means[1] > means[0] + 0.1


@pytest.mark.parametrize("kind", KINDS)
def test_a_class_without_training_images_gets_no_probability(kind):
    parts = {"train": clusters([0, 0, 0, 2, 2, 4, 4], 0, 0.3), "test": clusters([0, 1, 2, 3, 4], 1, 0.3)}
    found = fit_probes(parts, [kind], "test", 6, "visual")[kind].probabilities(parts["test"][0].numpy(), 6)
    assert found[:, [1, 3, 5]].max() == 0
    np.testing.assert_allclose(found.sum(1), 1, rtol=1e-5)
    assert found.argmax(1)[[0, 2, 4]].tolist() == [0, 2, 4]


def test_two_classes_with_one_image_each_have_a_probe():
    parts = {"train": clusters([0, 1], 0, 0.1), "test": clusters([1, 0], 1, 0.1)}
    found = fit_probes(parts, KINDS, "test", 2, "visual")
    assert [probe.probabilities(parts["test"][0].numpy(), 2).argmax(1).tolist() for probe in found.values()] == [
        [1, 0]
    ] * 2


@pytest.mark.parametrize(
    ("labels", "largest", "message"),
    [
        ([3, 3], 10**9, "visual: no linear probe or balanced probe: it needs two classes with training images."),
        (
            [0, 1],
            71,
            "visual: no linear probe or balanced probe: training images · classes · features = 72, more than 71,"
            " would take too long.",
        ),
    ],
)
def test_there_is_no_probe_and_the_log_says_why(labels, largest, message, monkeypatch, caplog):
    caplog.set_level("INFO", "lptpp")
    monkeypatch.setattr(probes, "LARGEST", largest)
    parts = {"train": clusters(labels, 0), "test": clusters([0], 1)}
    assert fit_probes(parts, KINDS, "test", 6, "visual") == {}
    assert caplog.messages == [message]
