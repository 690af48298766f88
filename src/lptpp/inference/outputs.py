"""What a mixture says of a batch of pictures, and of several views of them."""

from collections.abc import Mapping
from typing import NamedTuple

import torch
import torch.nn.functional as F

from lptpp.models.expert import ExpertOutput
from lptpp.models.mixture import Mixture


class BatchPrediction(NamedTuple):
    """All that is said of B pictures, in float32 on the CPU; of their first view, except `of_views`."""

    probabilities: torch.Tensor  # (B, C) of the mixture, rows sum to 1
    experts: dict[str, torch.Tensor]  # (B, C) of each expert alone
    weights: torch.Tensor  # (B, E) the scorer's weight for every expert
    groups: dict[str, torch.Tensor]  # (B, k) which prompt groups each expert that has any chose, best matched first
    features: dict[str, torch.Tensor]  # (B, F) of each expert, of unit length
    of_views: torch.Tensor  # (B, V, C) what the mixture says of each view


@torch.no_grad()
def predict_batch(mixture: Mixture, outputs: Mapping[str, ExpertOutput], number: int = 1) -> BatchPrediction:
    """Return what the mixture makes of its experts' judgements of B·V views, the V = `number` of a picture together."""
    confidences = mixture.confidences(outputs)  # (B·V, E, C)
    mixed = mixture.combine([one.feature for one in outputs.values()], confidences)

    def first(rows: torch.Tensor) -> torch.Tensor:
        return rows[::number].cpu()

    return BatchPrediction(
        probabilities=first(mixed.probabilities),
        experts={name: first(confidences[:, place]) for place, name in enumerate(outputs)},
        weights=first(mixed.weights),
        groups={name: first(groups) for name, groups in selected_groups(outputs).items()},
        features={name: F.normalize(first(one.feature).float(), dim=-1) for name, one in outputs.items()},
        of_views=mixed.probabilities.unflatten(0, (-1, number)).cpu(),
    )


def selected_groups(outputs: Mapping[str, ExpertOutput]) -> dict[str, torch.Tensor]:
    """Return the groups (B, k) that each image uses, best first, of every expert that has group prompts."""
    return {name: one.groups for name, one in outputs.items() if one.groups is not None}
