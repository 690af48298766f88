"""Everything that is said of a trained mixture on one part of the data, in one pass over its pictures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from lptpp.data.cache import Pictures
from lptpp.evaluation.metrics import shot_accuracy
from lptpp.inference.outputs import selected_groups
from lptpp.inference.runtime import Runner, each_once, evaluation_views
from lptpp.models.expert import ExpertOutput
from lptpp.models.mixture import Mixture

KEPT = 5  # best classes kept of every prediction
AVERAGE, MIXTURE = "plain average", "LPT++"


@dataclass
class Ranking:
    """The best classes of n images and their probabilities, best first."""

    classes: np.ndarray  # (n, k)
    probabilities: np.ndarray  # (n, k)


@dataclass
class Evaluation:
    """What the rows of the shot table say of each image; `answer` names the row that is the run's result."""

    labels: np.ndarray  # (n,)
    rankings: dict[str, Ranking]
    result: str
    weights: np.ndarray | None = None  # (n, E) the scorer's weight for every expert
    truth: np.ndarray | None = None  # (n,) the answer's probability of the true class
    groups: dict[str, np.ndarray] = field(default_factory=dict)  # (n, k) group prompts, by expert that has some

    def metrics(self, counts: np.ndarray, shot_thresholds: tuple[int, int]) -> dict[str, dict[str, Any]]:
        """Return the shot accuracies of every row, in percent."""
        return {
            name: shot_accuracy(
                ranking.classes[:, 0], ranking.probabilities[:, 0], self.labels, counts, shot_thresholds
            )
            for name, ranking in self.rankings.items()
        }


@torch.no_grad()
def evaluate(mixture: Mixture, pictures: Pictures, runner: Runner) -> Evaluation:
    """Judge every picture once; rows for each expert after each phase, the plain average and the mixture."""
    batches = runner.expert_outputs(mixture, evaluation_views(mixture, pictures), each_once(pictures), "Evaluating")
    parts = [_of_batch(mixture, expert_outputs, labels) for expert_outputs, labels, _ in batches]
    labels, weights, truth = (
        np.concatenate([getattr(part, name) for part in parts]) for name in ("labels", "weights", "truth")
    )
    rankings = {name: joined([part.rankings[name] for part in parts]) for name in parts[0].rankings}
    groups = {name: np.concatenate([part.groups[name] for part in parts]) for name in parts[0].groups}
    return Evaluation(labels, rankings, parts[0].result, weights, truth, groups)


def _of_batch(mixture: Mixture, expert_outputs: Mapping[str, ExpertOutput], labels: torch.Tensor) -> Evaluation:
    rows, weights = row_probabilities(mixture, expert_outputs)
    result = list(rows)[-1]
    truth = rows[result].cpu().gather(1, labels[:, None])[:, 0]
    groups = {name: found.cpu().numpy() for name, found in selected_groups(expert_outputs).items()}
    rankings = {name: best_classes(probabilities) for name, probabilities in rows.items()}
    return Evaluation(labels.numpy(), rankings, result, weights.cpu().numpy(), truth.numpy(), groups)


def row_probabilities(
    mixture: Mixture, expert_outputs: Mapping[str, ExpertOutput]
) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """Return the probabilities (B, C) of every row of the shot table, and the weights (B, E)."""
    rows = {}
    for name, output in expert_outputs.items():
        expert = mixture.experts[name]
        rows[f"{name}, phase 1"] = (expert.scale * output.phase1_cosines.float()).softmax(-1)
        if expert.encoder.groups is not None:
            rows[f"{name}, phase 2"] = (expert.scale * output.cosines.float()).softmax(-1)
    confidences = mixture.confidences(expert_outputs)  # (B, E, C)
    mixed = mixture.combine([output.feature for output in expert_outputs.values()], confidences)
    if mixture.scorer is not None:
        equal = torch.full_like(mixed.weights, 1 / len(expert_outputs))
        rows[AVERAGE] = mixture.mix(confidences, equal)
        rows[MIXTURE] = mixed.probabilities
    return rows, mixed.weights


def best_classes(probabilities: torch.Tensor) -> Ranking:
    """Return the best classes of probabilities (B, C)."""
    best = probabilities.topk(min(KEPT, probabilities.shape[1]), dim=-1)
    return Ranking(best.indices.cpu().numpy(), best.values.cpu().numpy())


def joined(parts: Sequence[Ranking]) -> Ranking:
    """Return the ranking of all images from that of each batch."""
    classes, probabilities = [part.classes for part in parts], [part.probabilities for part in parts]
    return Ranking(np.concatenate(classes), np.concatenate(probabilities))
