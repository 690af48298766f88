"""Test-time ensembling: a picture seen in several views, whose probabilities are averaged.

The first view is always the picture as it is seen without ensembling.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import torch
from torchvision.transforms import v2

from lptpp.backbones.base import Preprocessing
from lptpp.data.transforms import BatchTransform, evaluation_transform

ManyViews = Callable[[torch.Tensor], torch.Tensor]  # uint8 (3, H, W) -> float32 (V, 3, height, width)
LARGEST_SHARE = 7 / 8  # of a corner's side in the resized picture: without room around it all crops are one


def one(preprocessing: Preprocessing) -> ManyViews:
    """Return the transform to the plain view alone."""
    look = evaluation_transform(preprocessing)
    return lambda picture: look(picture)[None]


def flip(preprocessing: Preprocessing) -> ManyViews:
    """Return the transform to the plain view and its mirror image."""
    look = one(preprocessing)

    def views(picture: torch.Tensor) -> torch.Tensor:
        plain = look(picture)
        return torch.cat([plain, plain.flip(-1)])

    return views


def five_crops(preprocessing: Preprocessing) -> ManyViews:
    """Return the transform to the plain view and the four corners of the resized picture.

    A backbone whose crop keeps more than 7/8 of a side gets the corners from a picture resized that much larger.
    """
    look = one(preprocessing)
    share = min(preprocessing.crop_share, LARGEST_SHARE)
    resize, _, *finish = evaluation_transform(replace(preprocessing, crop_share=share)).transforms
    crop, finished = v2.FiveCrop(preprocessing.size), v2.Compose(finish)

    def views(picture: torch.Tensor) -> torch.Tensor:
        *corners, _ = crop(resize(picture))
        return torch.cat([look(picture), finished(torch.stack(corners))])

    return views


class Kind(NamedTuple):
    """How many views a picture is seen in, and the transform to them."""

    number: int
    transform: Callable[[Preprocessing], ManyViews]


VIEWS = {"one": Kind(1, one), "flip": Kind(2, flip), "five_crops": Kind(5, five_crops)}


def of_batch(views: ManyViews) -> BatchTransform:
    """Return the transform of B pictures to float32 (B·V, 3, height, width), the views of a picture together."""

    def transform(pictures: Sequence[torch.Tensor], keys: Sequence[int]) -> torch.Tensor:
        return torch.cat([views(picture) for picture in pictures])

    return transform
