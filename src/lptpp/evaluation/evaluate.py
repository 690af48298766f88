"""Everything that is said of a trained mixture on one part of the data, in one pass over its pictures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from lptpp.data.pictures import Pictures
from lptpp.evaluation.metrics import shot_accuracy
from lptpp.expert import Judgement
from lptpp.mixture import Mixture, weighted_average
from lptpp.outputs import Runner, each_once, evaluation_views

KEPT = 5  # best classes kept of every prediction
AVERAGE, MIXTURE = "plain average", "LPT++"


@dataclass
class Ranking:
    """The best classes of n images and their probabilities, best first."""

    classes: np.ndarray  # (n, k)
    probabilities: np.ndarray  # (n, k)


@dataclass
class Evaluation:
    """What the rows of the shot table say of each image; the last row is the run's answer."""

    labels: np.ndarray  # (n,)
    rankings: dict[str, Ranking] = field(default_factory=dict)
    weights: np.ndarray | None = None  # (n, E) the scorer's weight for every expert

    @property
    def answer(self) -> str:
        """Name of the row that is the run's result."""
        return list(self.rankings)[-1]

    def metrics(self, counts: np.ndarray, borders: tuple[int, int]) -> dict[str, dict[str, Any]]:
        """Return the shot accuracies of every row, in percent."""
        return {
            name: shot_accuracy(ranking.classes[:, 0], ranking.probabilities[:, 0], self.labels, counts, borders)
            for name, ranking in self.rankings.items()
        }


@torch.no_grad()
def evaluate(mixture: Mixture, pictures: Pictures, runner: Runner) -> Evaluation:
    """Judge every picture once; rows for each expert after each phase, the plain average and the mixture."""
    found: dict[str, list[tuple[torch.Tensor, torch.Tensor]]] = {}
    weights, all_labels = [], []
    judged = runner.judgements(mixture, evaluation_views(mixture, pictures), each_once(pictures), "Evaluating")
    for said, labels, _ in judged:
        rows, weight = row_probabilities(mixture, said)
        for name, probabilities in rows.items():
            best = probabilities.topk(min(KEPT, probabilities.shape[1]), dim=-1)
            found.setdefault(name, []).append((best.indices.cpu(), best.values.cpu()))
        weights.append(weight.cpu())
        all_labels.append(labels)
    rankings = {name: _ranking(parts) for name, parts in found.items()}
    return Evaluation(torch.cat(all_labels).numpy(), rankings, torch.cat(weights).numpy())


def row_probabilities(mixture: Mixture, said: Mapping[str, Judgement]) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """Return the probabilities (B, C) of every row of the shot table, and the weights (B, E)."""
    rows = {}
    for name, judgement in said.items():
        expert = mixture.experts[name]
        rows[f"{name}, phase 1"] = (expert.scale * judgement.phase1_cosines.float()).softmax(-1)
        if expert.encoder.groups is not None:
            rows[f"{name}, phase 2"] = (expert.scale * judgement.cosines.float()).softmax(-1)
    confidences = mixture.confidences(said)  # (B, E, C)
    opinion = mixture.combine([judgement.feature for judgement in said.values()], confidences)
    if mixture.scorer is not None:
        equal = torch.full_like(opinion.weights, 1 / len(said))
        rows[AVERAGE] = weighted_average(confidences, equal)
        rows[MIXTURE] = opinion.probabilities
    return rows, opinion.weights


def _ranking(parts: Sequence[tuple[torch.Tensor, torch.Tensor]]) -> Ranking:
    classes, probabilities = zip(*parts, strict=True)
    return Ranking(torch.cat(classes).numpy(), torch.cat(probabilities).numpy())
