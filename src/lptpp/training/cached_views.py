"""Cached views: a fixed number of random crops of each image, computed once by the frozen stem of a backbone."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from lptpp.backbones.hybrid import StemEmbed
from lptpp.data.loader import Sample, ViewBatch, ViewDataset, batches
from lptpp.inference.runtime import Runner
from lptpp.models.expert import Expert
from lptpp.utils import exchange, processes
from lptpp.utils.errors import UserError
from lptpp.utils.memory import bytes_to_gb
from lptpp.utils.progress import progress_bar
from lptpp.utils.random import key, keys

KEY = "augmentation.cached_views"


class CachedViews(ViewDataset):
    """Views that consist of the feature maps of hybrid backbones' stems, not of images.

    Each image has `number` crops; the random key of a draw selects one. The maps are stored in float16.
    """

    def __init__(self, views: ViewDataset, number: int, maps: dict[str, torch.Tensor]) -> None:
        super().__init__(views.images, views.labels, views.transforms)
        self.number = number
        self.maps = maps  # of each backbone: (n · number, S, h, w)

    def of(self, draws: Sequence[Sample]) -> ViewBatch:
        """Return the maps of B images by name, float32 (B, S, h, w) each, labels (B,) and indices (B,), int64."""
        indices, random_keys = (torch.tensor(one) for one in zip(*draws, strict=True))
        places = indices * self.number + random_keys % self.number
        seen = {name: maps[places].float() for name, maps in self.maps.items()}
        return seen, torch.from_numpy(self.labels)[indices], indices

    def fill(self) -> None:
        """Do nothing: no image is decoded any more."""


def stem_maps(
    name: str, expert: Expert, views: ViewDataset, number: int, seed: int, memory: int, runner: Runner
) -> torch.Tensor:
    """Return the maps of an expert's stem for `number` crops of each of n images, (n · number, S, h, w) float16.

    `views` are those of this expert alone.

    Raises:
        UserError: the backbone has no frozen stem, or the maps take more than `memory` bytes.
    """
    embed = expert.backbone.tower.patch_embed
    places = np.arange(len(views) * number)
    check_stem(name, expert, len(places), memory)
    draws = list(zip((places // number).tolist(), keys(key(seed, "cached view"), places).tolist(), strict=True))
    own = processes.own_rows(draws, runner.batch_size)

    def parts() -> Iterator[dict[str, torch.Tensor]]:
        loader = batches(views, own, runner.batch_size, runner.loader_workers(len(own)), pin=runner.is_gpu)
        with progress_bar(f"{name}: crops", len(own)) as bar:
            for images, labels, _ in loader:
                runner.before_batch()
                with torch.no_grad(), runner.autocast():
                    yield {"maps": embed.maps(runner.on_device(images[name])).half().cpu()}
                bar.advance(len(labels))

    return torch.cat([part["maps"] for part in exchange.in_order(parts())])


def check_stem(name: str, expert: Expert, rows: int, memory: int) -> None:
    """Raise `UserError` unless an expert has a frozen stem whose maps of `rows` views take at most `memory` bytes."""
    embed = getattr(expert.backbone.tower, "patch_embed", None)
    if not isinstance(embed, StemEmbed) or expert.tune_backbone:
        kind = "trains its backbone" if expert.tune_backbone else "has no convolutional stem"
        raise UserError(f"{KEY}: expert {name} {kind}; only the output of a frozen stem can be cached. Use 0.")
    size = 2 * rows * embed.backbone.conv_head.in_channels * embed.num_patches
    if size > memory:
        raise UserError(
            f"{KEY}: the maps of expert {name} take {bytes_to_gb(size):.1f} GB, data.memory_gb allows"
            f" {bytes_to_gb(memory):.1f}: cache fewer views or increase data.memory_gb."
        )
