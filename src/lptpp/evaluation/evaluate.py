"""The predictions of every row of the shot table on one split, in one pass over its images."""

from collections.abc import Collection, Iterable, Mapping, Sequence

import numpy as np
import torch

from lptpp.data.cache import ImageCache
from lptpp.evaluation.rankings import Evaluation, Ranking
from lptpp.evaluation.table import AVERAGE, MIXTURE, ResultRow
from lptpp.inference.pipeline import Pipeline, selected_groups
from lptpp.inference.runtime import Runner
from lptpp.models.controls import oracle
from lptpp.models.expert import ExpertOutput
from lptpp.models.mixture import Mixture
from lptpp.utils import exchange

KEPT = 5  # most probable classes kept per prediction
CLASSES, PROBABILITIES, GROUPS = "classes", "probabilities", "groups/"  # in the names of columns


@torch.no_grad()
def evaluate(mixture: Mixture, images: ImageCache, runner: Runner, controls: Collection[str] = ()) -> Evaluation:
    """Predict every image once, by each expert after each phase, the plain average and the mixture.

    `controls` adds control rows, as `evaluation.controls` in the settings.
    """
    batches = Pipeline(mixture, runner).expert_outputs(images, "Evaluating")
    own = (_of_batch(mixture, expert_outputs, labels, controls) for expert_outputs, labels, _ in batches)
    found = columns(exchange.in_order(own))
    groups = {name.removeprefix(GROUPS): column for name, column in found.items() if name.startswith(GROUPS)}
    return Evaluation(
        found["labels"], rankings_of(found), result_row(mixture), found["weights"], found["truth"], groups
    )


def _of_batch(
    mixture: Mixture, expert_outputs: Mapping[str, ExpertOutput], labels: torch.Tensor, controls: Collection[str]
) -> dict[str, torch.Tensor]:
    """Return the columns of an evaluation for B images."""
    rows, weights = row_probabilities(mixture, expert_outputs)
    if "mixing" in controls:
        rows |= mixing_controls(mixture, expert_outputs, labels)
    result = result_row(mixture)
    truth = rows[result].cpu().gather(1, labels[:, None])[:, 0]
    groups = {GROUPS + name: found.cpu() for name, found in selected_groups(expert_outputs).items()}
    rankings = ranking_columns({row: best_classes(probabilities) for row, probabilities in rows.items()})
    return {"labels": labels, "weights": weights.cpu(), "truth": truth, **groups, **rankings}


def result_row(mixture: Mixture) -> ResultRow:
    """Return the row that is the result of a run: the mixture or, of one expert alone, its last phase."""
    if mixture.scorer is not None:
        return MIXTURE
    ((name, expert),) = mixture.experts.items()
    return ResultRow("phase1" if expert.encoder.groups is None else "phase2", name)


def row_probabilities(
    mixture: Mixture, expert_outputs: Mapping[str, ExpertOutput]
) -> tuple[dict[ResultRow, torch.Tensor], torch.Tensor]:
    """Return the probabilities (B, C) of every row, and the scorer weights (B, E)."""
    rows = {}
    for name, output in expert_outputs.items():
        expert = mixture.experts[name]
        rows[ResultRow("phase1", name)] = (expert.scale * output.phase1_cosines.float()).softmax(-1)
        if expert.encoder.groups is not None:
            rows[ResultRow("phase2", name)] = (expert.scale * output.cosines.float()).softmax(-1)
    confidences = mixture.confidences(expert_outputs)  # (B, E, C)
    mixed = mixture.combine([output.feature for output in expert_outputs.values()], confidences)
    if mixture.scorer is not None:
        equal = torch.full_like(mixed.weights, 1 / len(expert_outputs))
        rows[AVERAGE] = mixture.mix(confidences, equal)
        rows[MIXTURE] = mixed.probabilities
    return rows, mixed.weights


def mixing_controls(
    mixture: Mixture, expert_outputs: Mapping[str, ExpertOutput], labels: torch.Tensor
) -> dict[ResultRow, torch.Tensor]:
    """Return the probabilities (B, C) of mixtures without a scorer, for images with labels (B,)."""
    if mixture.controls is None:
        return {}
    confidences = mixture.confidences(expert_outputs)  # (B, E, C)
    found = mixture.controls.rows(confidences, mixture.mix)
    found["oracle"] = oracle(confidences, labels.to(confidences.device))
    return {ResultRow(kind): rows for kind, rows in found.items()}


def best_classes(probabilities: torch.Tensor) -> Ranking:
    """Return the most probable classes of probabilities (B, C)."""
    best = probabilities.topk(min(KEPT, probabilities.shape[1]), dim=-1)
    return Ranking(best.indices.cpu().numpy(), best.values.cpu().numpy())


def ranking_columns(rankings: Mapping[ResultRow, Ranking]) -> dict[str, torch.Tensor]:
    """Return the rankings of B images as named tensors, (B, k) each: what the processes of a run exchange."""
    return {
        f"{part}/{row}": torch.from_numpy(getattr(ranking, part))
        for row, ranking in rankings.items()
        for part in (CLASSES, PROBABILITIES)
    }


def columns(batches: Iterable[Mapping[str, torch.Tensor]]) -> dict[str, np.ndarray]:
    """Concatenate the columns of batches."""
    parts = list(batches)
    return {name: torch.cat([part[name] for part in parts]).numpy() for name in parts[0]} if parts else {}


def rankings_of(columns: Mapping[str, np.ndarray]) -> dict[ResultRow, Ranking]:
    """Return the rankings that `ranking_columns` wrote, in order."""
    rows = [name.removeprefix(f"{CLASSES}/") for name in columns if name.startswith(f"{CLASSES}/")]
    return {
        ResultRow.parse(row): Ranking(columns[f"{CLASSES}/{row}"], columns[f"{PROBABILITIES}/{row}"]) for row in rows
    }


def joined(parts: Sequence[Ranking]) -> Ranking:
    """Concatenate the rankings of batches."""
    classes, probabilities = [part.classes for part in parts], [part.probabilities for part in parts]
    return Ranking(np.concatenate(classes), np.concatenate(probabilities))
