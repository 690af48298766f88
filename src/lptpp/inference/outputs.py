"""What a mixture says of a batch of pictures, and of several views of them."""

from collections.abc import Mapping
from typing import NamedTuple

import torch
import torch.nn.functional as F

from lptpp.models.expert import Judgement
from lptpp.models.mixture import Mixture


class Answer(NamedTuple):
    """All that is said of B pictures, in float32 on the CPU; of their first view, except `of_views`."""

    probabilities: torch.Tensor  # (B, C) of the mixture, rows sum to 1
    experts: dict[str, torch.Tensor]  # (B, C) of each expert alone
    weights: torch.Tensor  # (B, E) the scorer's weight for every expert
    groups: dict[str, torch.Tensor]  # (B, k) which prompt groups each expert that has any chose, best matched first
    features: dict[str, torch.Tensor]  # (B, F) of each expert, of unit length
    of_views: torch.Tensor  # (B, V, C) what the mixture says of each view


@torch.no_grad()
def answer(mixture: Mixture, said: Mapping[str, Judgement], number: int = 1) -> Answer:
    """Return what the mixture makes of its experts' judgements of B·V views, the V = `number` of a picture together."""
    confidences = mixture.confidences(said)  # (B·V, E, C)
    opinion = mixture.combine([one.feature for one in said.values()], confidences)

    def first(rows: torch.Tensor) -> torch.Tensor:
        return rows[::number].cpu()

    return Answer(
        probabilities=first(opinion.probabilities),
        experts={name: first(confidences[:, place]) for place, name in enumerate(said)},
        weights=first(opinion.weights),
        groups={name: first(groups) for name, groups in chosen_groups(said).items()},
        features={name: F.normalize(first(one.feature).float(), dim=-1) for name, one in said.items()},
        of_views=opinion.probabilities.unflatten(0, (-1, number)).cpu(),
    )


def chosen_groups(said: Mapping[str, Judgement]) -> dict[str, torch.Tensor]:
    """Return the groups (B, k) that each image uses, best first, of every expert that has group prompts."""
    return {name: one.chosen for name, one in said.items() if one.chosen is not None}
