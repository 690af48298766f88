"""Everything that is said of a trained mixture on one part of the data, in one pass over its pictures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from lptpp.data.cache import Pictures
from lptpp.evaluation.metrics import shot_accuracy
from lptpp.inference.outputs import chosen_groups
from lptpp.inference.runtime import Runner, each_once, evaluation_views
from lptpp.models.expert import Judgement
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
    answer: str
    weights: np.ndarray | None = None  # (n, E) the scorer's weight for every expert
    truth: np.ndarray | None = None  # (n,) the answer's probability of the true class
    chosen: dict[str, np.ndarray] = field(default_factory=dict)  # (n, k) group prompts, by expert that has some

    def metrics(self, counts: np.ndarray, borders: tuple[int, int]) -> dict[str, dict[str, Any]]:
        """Return the shot accuracies of every row, in percent."""
        return {
            name: shot_accuracy(ranking.classes[:, 0], ranking.probabilities[:, 0], self.labels, counts, borders)
            for name, ranking in self.rankings.items()
        }


@torch.no_grad()
def evaluate(mixture: Mixture, pictures: Pictures, runner: Runner) -> Evaluation:
    """Judge every picture once; rows for each expert after each phase, the plain average and the mixture."""
    judged = runner.judgements(mixture, evaluation_views(mixture, pictures), each_once(pictures), "Evaluating")
    parts = [_of_batch(mixture, said, labels) for said, labels, _ in judged]
    labels, weights, truth = (
        np.concatenate([getattr(part, name) for part in parts]) for name in ("labels", "weights", "truth")
    )
    rankings = {name: joined([part.rankings[name] for part in parts]) for name in parts[0].rankings}
    chosen = {name: np.concatenate([part.chosen[name] for part in parts]) for name in parts[0].chosen}
    return Evaluation(labels, rankings, parts[0].answer, weights, truth, chosen)


def _of_batch(mixture: Mixture, said: Mapping[str, Judgement], labels: torch.Tensor) -> Evaluation:
    rows, weights = row_probabilities(mixture, said)
    answer = list(rows)[-1]
    truth = rows[answer].cpu().gather(1, labels[:, None])[:, 0]
    chosen = {name: groups.cpu().numpy() for name, groups in chosen_groups(said).items()}
    rankings = {name: best_classes(probabilities) for name, probabilities in rows.items()}
    return Evaluation(labels.numpy(), rankings, answer, weights.cpu().numpy(), truth.numpy(), chosen)


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
        rows[AVERAGE] = mixture.mix(confidences, equal)
        rows[MIXTURE] = opinion.probabilities
    return rows, opinion.weights


def best_classes(probabilities: torch.Tensor) -> Ranking:
    """Return the best classes of probabilities (B, C)."""
    best = probabilities.topk(min(KEPT, probabilities.shape[1]), dim=-1)
    return Ranking(best.indices.cpu().numpy(), best.values.cpu().numpy())


def joined(parts: Sequence[Ranking]) -> Ranking:
    """Return the ranking of all images from that of each batch."""
    classes, probabilities = [part.classes for part in parts], [part.probabilities for part in parts]
    return Ranking(np.concatenate(classes), np.concatenate(probabilities))
