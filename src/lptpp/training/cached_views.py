"""A fixed number of random crops of each picture, seen by a frozen stem once."""

from collections.abc import Sequence

import numpy as np
import torch

from lptpp.backbones.hybrid import StemEmbed
from lptpp.data.loader import Draw, ViewBatch, Views, batches
from lptpp.inference.runtime import Runner
from lptpp.models.expert import Expert
from lptpp.utils.errors import UserError
from lptpp.utils.progress import progress_bar
from lptpp.utils.random import key, keys

KEY = "augmentation.cached_views"


class CachedViews(Views):
    """Views whose pictures a hybrid backbone has looked at already: feature maps of its stem in place of images.

    Each picture has `number` crops; a draw takes one of them, by its key. The maps are kept in float16.
    """

    def __init__(self, views: Views, number: int, maps: dict[str, torch.Tensor]) -> None:
        super().__init__(views.pictures, views.labels, views.transforms)
        self.number = number
        self.maps = maps  # of each backbone: (n · number, S, h, w)

    def of(self, draws: Sequence[Draw]) -> ViewBatch:
        """Return the maps of B images by name, float32 (B, S, h, w) each, labels (B,) and indices (B,), int64."""
        indices, random_keys = (torch.tensor(one) for one in zip(*draws, strict=True))
        places = indices * self.number + random_keys % self.number
        seen = {name: maps[places].float() for name, maps in self.maps.items()}
        return seen, torch.from_numpy(self.labels)[indices], indices

    def fill(self) -> None:
        """Do nothing: there is nothing left to decode."""


def stem_maps(
    name: str, expert: Expert, views: Views, number: int, seed: int, memory: int, runner: Runner
) -> torch.Tensor:
    """Return what an expert's stem makes of `number` crops of each of n pictures, (n · number, S, h, w) float16.

    `views` are those of this expert alone. Raises `UserError` for a backbone without a frozen stem, or where the maps
    take more than `memory` bytes.
    """
    embed = expert.backbone.tower.patch_embed
    places = np.arange(len(views) * number)
    _check(name, expert, len(places), memory)
    draws = list(zip((places // number).tolist(), keys(key(seed, "cached view"), places).tolist(), strict=True))
    found = []
    with progress_bar(f"{name}: crops", len(draws)) as bar:
        for images, labels, _ in batches(views, draws, runner.batch_size, runner.workers):
            with torch.no_grad(), runner.autocast():
                found.append(embed.maps(images[name].to(runner.device)).half().cpu())
            bar.advance(len(labels))
    return torch.cat(found)


def _check(name: str, expert: Expert, rows: int, memory: int) -> None:
    embed = expert.backbone.tower.patch_embed
    if not isinstance(embed, StemEmbed) or expert.tune_backbone:
        kind = "tunes its backbone" if expert.tune_backbone else "has no convolutional stem"
        raise UserError(f"{KEY}: expert {name} {kind}, only what a frozen stem makes of a picture can be kept; use 0.")
    size = 2 * rows * embed.backbone.conv_head.in_channels * embed.num_patches
    if size > memory:
        raise UserError(
            f"{KEY}: the maps of expert {name} take {size / 2**30:.1f} GB, data.memory_gb allows"
            f" {memory / 2**30:.1f}: keep fewer views, or allow more."
        )
