"""Evaluation views of an image: the plain view, alone or with others for a test-time ensemble.

The probabilities of the views are averaged. The first view is always the plain one.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import torch
from torchvision.transforms import v2

from lptpp.backbones.preprocessing import Preprocessing
from lptpp.data.transforms import evaluation_transform
from lptpp.models.mixture import Mixture
from lptpp.utils.errors import UserError, did_you_mean

ManyViews = Callable[[torch.Tensor], torch.Tensor]  # uint8 (3, H, W) -> float32 (V, 3, height, width)
LARGEST_SHARE = 7 / 8  # of the resized image's side that a corner crop keeps: with more, all crops would be the same


def one(preprocessing: Preprocessing) -> ManyViews:
    """Return the transform to the plain view alone."""
    transform = evaluation_transform(preprocessing)
    return lambda image: transform(image)[None]


def flip(preprocessing: Preprocessing) -> ManyViews:
    """Return the transform to the plain view and its mirror image."""
    plain_view = one(preprocessing)

    def views(image: torch.Tensor) -> torch.Tensor:
        plain = plain_view(image)
        return torch.cat([plain, plain.flip(-1)])

    return views


def five_crops(preprocessing: Preprocessing) -> ManyViews:
    """Return the transform to the plain view and the four corners of the resized image.

    If the backbone's crop keeps more than 7/8 of a side, the corners come from an image resized to 8/7 of that size.
    """
    plain_view = one(preprocessing)
    share = min(preprocessing.crop_share, LARGEST_SHARE)
    resize, _, *finish = evaluation_transform(replace(preprocessing, crop_share=share)).transforms
    crop, finished = v2.FiveCrop(preprocessing.size), v2.Compose(finish)

    def views(image: torch.Tensor) -> torch.Tensor:
        *corners, _ = crop(resize(image))
        return torch.cat([plain_view(image), finished(torch.stack(corners))])

    return views


class ViewKind(NamedTuple):
    """The number of views, and the transform of an image to them."""

    number: int
    transform: Callable[[Preprocessing], ManyViews]


VIEWS = {"one": ViewKind(1, one), "flip": ViewKind(2, flip), "five_crops": ViewKind(5, five_crops)}


def view_transforms(mixture: Mixture, views: str) -> dict[str, ManyViews]:
    """Return the transform to the given views for the backbone of each expert, by name.

    Raises:
        UserError: unknown `views`.
    """
    if views not in VIEWS:
        raise UserError(f"views={views}: {did_you_mean(views, VIEWS)}")
    return {name: VIEWS[views].transform(expert.backbone.preprocessing) for name, expert in mixture.experts.items()}
