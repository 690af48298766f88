"""Control rows of phase 2: its classifier on images with random groups, without groups, or with the mean of all groups.

Each row changes only the selection of groups at inference. The gain of the phase-2 row, which uses the selected groups
of each image, over the row without groups is the contribution of the group prompts.

Shapes: B images, m groups, k groups an image uses, F features, C classes.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import torch

from lptpp.data.cache import ImageCache
from lptpp.evaluation.evaluate import best_classes, columns, ranking_columns, rankings_of
from lptpp.evaluation.rankings import Ranking
from lptpp.evaluation.table import CONTROLS, ResultRow
from lptpp.inference.pipeline import split_batches
from lptpp.inference.runtime import Runner
from lptpp.inference.views import VIEWS
from lptpp.models.encoder import AdaptedEncoder
from lptpp.models.expert import Expert
from lptpp.models.mixture import Mixture
from lptpp.models.prompts import GroupPrompts
from lptpp.utils import exchange, processes
from lptpp.utils.progress import progress_bar
from lptpp.utils.random import key, keys, uniforms


def _random(encoder: AdaptedEncoder, images: torch.Tensor, draws: torch.Tensor) -> torch.Tensor:
    return encoder(images, lambda _: draws).feature


def _none(encoder: AdaptedEncoder, images: torch.Tensor, draws: torch.Tensor) -> torch.Tensor:
    return encoder.query_feature(images)


def _mean(encoder: AdaptedEncoder, images: torch.Tensor, draws: torch.Tensor) -> torch.Tensor:
    return encoder(images, every_group).feature


# features (B, F) of images (B, 3, H, W), given random groups (B, k)
FEATURES: dict[str, Callable[[AdaptedEncoder, torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "phase2_random": _random,
    "phase2_none": _none,
    "phase2_mean": _mean,
}


def every_group(similarity: torch.Tensor) -> torch.Tensor:
    """Select all groups (B, m) for every image."""
    return torch.arange(similarity.shape[1], device=similarity.device).expand_as(similarity)


def random_groups(groups: GroupPrompts, seed: int, expert: str, indices: np.ndarray) -> torch.Tensor:
    """Draw k of m groups (B, k) for images (B,) of a split, without replacement: a function of seed, expert, index."""
    numbers = uniforms(keys(key(seed, "random groups", expert), indices), len(groups.keys))  # (B, m)
    return torch.from_numpy(numbers.argsort(1)[:, : groups.top_k])


def control_rows(mixture: Mixture, wanted: Sequence[str]) -> list[ResultRow]:
    """Return the rows of the wanted controls (random, none, mean) of every expert with group prompts."""
    kinds = [kind for kind in CONTROLS if kind.removeprefix("phase2_") in wanted]
    return [
        ResultRow(kind, name)
        for name, expert in mixture.experts.items()
        for kind in kinds
        if expert.encoder.groups is not None
    ]


@torch.no_grad()
def control_rankings(
    mixture: Mixture, images: ImageCache, rows: Sequence[ResultRow], seed: int, runner: Runner
) -> dict[ResultRow, Ranking]:
    """Return the ranking of every control row, in one pass over the images."""
    if not rows:
        return {}
    experts = {row.expert: mixture.experts[row.expert] for row in rows}
    transforms = {name: VIEWS["one"].transform(expert.backbone.preprocessing) for name, expert in experts.items()}
    own = processes.own_rows(range(len(images)), runner.batch_size)

    def batches() -> Iterator[dict[str, torch.Tensor]]:
        with progress_bar("Control rows", len(own)) as bar:
            for views, labels, indices in split_batches(images, transforms, runner.batch_size, own):
                on_device = {name: view.to(runner.device) for name, view in views.items()}
                with torch.no_grad(), runner.autocast():
                    found = {
                        row: _ranking(experts[row.expert], row, on_device[row.expert], indices, seed) for row in rows
                    }
                yield ranking_columns(found)
                bar.advance(len(labels))

    return rankings_of(columns(exchange.in_order(batches())))


def _ranking(expert: Expert, row: ResultRow, images: torch.Tensor, indices: torch.Tensor, seed: int) -> Ranking:
    """Return the ranking of a control row for images (B, 3, H, W) with indices (B,) in their split."""
    encoder = expert.encoder
    assert isinstance(encoder, AdaptedEncoder), "an expert without prompts has no control rows"
    assert encoder.groups is not None, "control_rows names experts with group prompts"
    draws = random_groups(encoder.groups, seed, row.expert, indices.numpy())
    cosines = expert.heads[-1](FEATURES[row.kind](encoder, images, draws.to(images.device)))
    return best_classes((expert.scale * cosines.float()).softmax(-1))


def with_controls(
    rankings: Mapping[ResultRow, Ranking], controls: Mapping[ResultRow, Ranking]
) -> dict[ResultRow, Ranking]:
    """Return the rankings with the control rows of each expert after its phase-2 row."""
    placed = {}
    for row, ranking in rankings.items():
        placed[row] = ranking
        if row.kind == "phase2" and row.plain == row:
            placed |= {control: found for control, found in controls.items() if control.expert == row.expert}
    return placed
