"""Linear probes: logistic regression on the unit features of the frozen towers, plain and balanced.

Both probes use the same fit, log p(c|x) = w_c · f(x) + b_c + constant. The balanced probe divides by the training
frequencies π of the classes: log p'(c|x) = log p(c|x) − log π_c + constant (logit adjustment, arXiv 2007.07314). It
minimizes the error in the mean over the classes, where class weights lose their effect once a probe separates its
training images (arXiv 1812.03372). As b is not regularized, training with the logit-adjusted loss gives the same p'.
"""

import logging
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import copy
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F

from lptpp.data.split import stratified_split
from lptpp.evaluation.table import BASELINES
from lptpp.utils.progress import Bar, progress_bar
from lptpp.utils.text import either

if TYPE_CHECKING:
    from sklearn.linear_model import LogisticRegression

log = logging.getLogger("lptpp")
STRENGTHS = (0.1, 1.0, 10.0, 100.0)  # scikit-learn's C, from strong to weak regularization
HELD_OUT = 0.2  # of each training class, to choose C if there is no validation split
LARGEST = 10**9  # training images · classes · features: a larger probe would take longer than a few minutes
Features = Mapping[str, tuple[torch.Tensor, torch.Tensor]]  # (n, F) and labels (n,) by split


class LabeledFeatures(NamedTuple):
    """Unit features (n, F) and labels (n,)."""

    features: np.ndarray
    labels: np.ndarray


class Probe(NamedTuple):
    """A fitted logistic regression, and the logarithm of what its probabilities are divided by, (C',)."""

    model: "LogisticRegression"
    log_prior: np.ndarray

    def probabilities(self, features: np.ndarray, classes: int) -> np.ndarray:
        """Return the probabilities (n, C) of features (n, F); 0 for a class without training images."""
        adjusted = torch.from_numpy(self.model.predict_log_proba(features) - self.log_prior).softmax(-1)
        found = np.zeros((len(features), classes), dtype=np.float32)
        found[:, self.model.classes_] = adjusted
        return found


def joint(parts: Sequence[Features]) -> Features:
    """Return the unit features of several towers side by side, (n, ΣF)."""
    unit = {split: torch.cat([F.normalize(part[split][0], dim=-1) for part in parts], dim=1) for split in parts[0]}
    return {split: (features, parts[0][split][1]) for split, features in unit.items()}


def fit_probes(features: Features, kinds: Sequence[str], split: str, classes: int, name: str) -> dict[str, Probe]:
    """Return the fitted probes by kind (`lptpp.evaluation.table.PROBES`); none, and a line in the log, if impossible.

    C is chosen on the validation split or, if there is none or it is the evaluated `split`, on a part of the training
    images, by the accuracy that the kind of probe is made for: overall, or in the mean over the classes. Of equal ones,
    the C with the smallest negative log-likelihood is taken: the probe that is calibrated best.
    """
    parts = {key: LabeledFeatures(x.numpy(), y.numpy()) for key, (x, y) in features.items()}
    train = parts["train"]
    if (reason := _obstacle(train, classes)) is not None:
        log.info("%s: no %s: %s.", name, either(BASELINES[kind] for kind in kinds), reason)
        return {}
    use_validation = "validation" in parts and split != "validation"
    with progress_bar(f"{name}: linear probe", len(STRENGTHS), unit="values of C") as bar:
        chosen = (
            _on_validation(train, parts["validation"], kinds, bar) if use_validation else _held_out(train, kinds, bar)
        )
    where = "the validation split" if use_validation else f"{HELD_OUT:.0%} of the training images"
    values = ", ".join(f"{probe.model.C:g} ({BASELINES[kind]})" for kind, probe in chosen.items())
    log.info("Probes on frozen features, %s: regularization C = %s, chosen on %s.", name, values, where)
    return chosen


def _obstacle(train: LabeledFeatures, classes: int) -> str | None:
    if len(np.unique(train.labels)) < 2:
        return "it needs two classes with training images"
    return too_large(len(train.features), train.features.shape[1], classes)


def too_large(images: int, width: int, classes: int) -> str | None:
    """Return why no probe is fitted to so many features; None if it is."""
    if (size := images * width * classes) > LARGEST:
        return f"training images · classes · features = {size:,}, more than {LARGEST:,}, would take too long"
    return None


def _on_validation(
    train: LabeledFeatures, validation: LabeledFeatures, kinds: Sequence[str], bar: Bar
) -> dict[str, Probe]:
    """Return the best of the probes fitted on the training images."""
    fitted = list(_path(train, STRENGTHS, bar))
    return {kind: max((_probe(kind, model, train) for model in fitted), key=_score(kind, validation)) for kind in kinds}


def _held_out(train: LabeledFeatures, kinds: Sequence[str], bar: Bar) -> dict[str, Probe]:
    """Choose C on images left out of the fit, then fit on all."""
    kept, drawn = stratified_split(train.labels, HELD_OUT, 0)
    if len(drawn) and len(np.unique(train.labels[kept])) > 1:
        rest, left_out = (LabeledFeatures(train.features[part], train.labels[part]) for part in (kept, drawn))
        strengths = {kind: probe.model.C for kind, probe in _on_validation(rest, left_out, kinds, bar).items()}
    else:
        strengths = dict.fromkeys(kinds, STRENGTHS[len(STRENGTHS) // 2])
    fitted = {model.C: model for model in _path(train, sorted(set(strengths.values())))}
    return {kind: _probe(kind, fitted[strength], train) for kind, strength in strengths.items()}


def _path(train: LabeledFeatures, strengths: Sequence[float], bar: Bar | None = None) -> Iterator["LogisticRegression"]:
    """Yield a fit for each C, which starts from the one before."""
    from sklearn.exceptions import ConvergenceWarning  # here, as importing scikit-learn takes a second
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(max_iter=300, warm_start=True)
    for strength in strengths:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # an unconverged probe is a weaker row, not a failure
            model.set_params(C=strength).fit(train.features, train.labels)
        yield copy(model)  # a fit replaces the arrays of the model
        if bar is not None:
            bar.advance()


def _probe(kind: str, model: "LogisticRegression", train: LabeledFeatures) -> Probe:
    if kind == "linear_probe":
        return Probe(model, np.zeros(len(model.classes_)))
    counts = np.bincount(train.labels)[model.classes_]
    return Probe(model, np.log(counts / counts.sum()))


def _score(kind: str, part: LabeledFeatures) -> Callable[[Probe], tuple[float, float]]:
    """Return the function that scores a probe: accuracy, then log-likelihood of the true class.

    Both are means over the images or, for a balanced probe, over the classes.
    """
    weights = np.ones(len(part.labels)) if kind == "linear_probe" else 1 / np.bincount(part.labels)[part.labels]
    images = np.arange(len(part.labels))

    def score(probe: Probe) -> tuple[float, float]:
        found = probe.probabilities(part.features, 1 + max(part.labels.max(), probe.model.classes_.max()))
        likelihood = np.log(np.maximum(found[images, part.labels], 1e-12))
        correct = found.argmax(1) == part.labels
        accuracy = round(float(np.average(correct, weights=weights)), 9)  # a tie is one in spite of rounding
        return accuracy, float(np.average(likelihood, weights=weights))

    return score
