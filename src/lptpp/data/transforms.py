"""From uint8 pictures (3, H, W) of any size to float32 (3, height, width) as a backbone wants them."""

import math
from typing import Any

import torch
from torchvision.transforms import InterpolationMode, v2

from lptpp.backbones.preprocessing import Preprocessing
from lptpp.errors import UserError, did_you_mean

INTERPOLATIONS = ("bilinear", "bicubic", "nearest", "nearest-exact")


class Cover(torch.nn.Module):
    """Resize with the aspect kept, to the smallest size that covers (height, width)."""

    def __init__(self, size: tuple[int, int], interpolation: InterpolationMode) -> None:
        super().__init__()
        self.size = size
        self.interpolation = interpolation

    def forward(self, picture: torch.Tensor) -> torch.Tensor:
        """Return the picture resized, (3, H, W) -> (3, H', W')."""
        (high, wide), (height, width) = picture.shape[-2:], self.size
        if high * width <= wide * height:
            size = [height, int(height * wide / high)]
        else:
            size = [int(width * high / wide), width]
        return v2.functional.resize(picture, size, self.interpolation, antialias=True)


def evaluation_transform(preprocessing: Preprocessing) -> v2.Compose:
    """Return the transform of images that are only looked at: resize, centre crop, normalise (no randomness).

    Raises:
        UserError: the interpolation is not one of `INTERPOLATIONS`.
    """
    return v2.Compose([*_centre(preprocessing), *_normalised(preprocessing)])


def training_transform(preprocessing: Preprocessing, smallest_crop: float, flip: bool, colour: float) -> v2.Compose:
    """Return the random transform of training images; it draws from torch's global generator only.

    `smallest_crop` is the smallest share of the area that a random crop keeps (1 = no random crop but the
    geometry of evaluation); `flip` mirrors half of the images; `colour` is the strength of changes to
    brightness, contrast and saturation (0 = none).

    Raises:
        UserError: `smallest_crop` is not in (0, 1], `colour` is negative, the interpolation is unknown.
    """
    if not 0 < smallest_crop <= 1:
        raise UserError(f"The smallest crop is a share of the image, above 0 and at most 1, not {smallest_crop}.")
    if colour < 0:
        raise UserError(f"The strength of colour changes must be at least 0, not {colour}.")
    geometry = _centre(preprocessing) if smallest_crop == 1 else _random_crop(preprocessing, smallest_crop)
    mirror = [v2.RandomHorizontalFlip()] if flip else []
    colours = [v2.ColorJitter(brightness=colour, contrast=colour, saturation=colour)] if colour else []
    return v2.Compose([*geometry, *mirror, *colours, *_normalised(preprocessing)])


def _centre(preprocessing: Preprocessing) -> list[Any]:
    height, width = preprocessing.size
    around = (math.floor(height / preprocessing.crop_share), math.floor(width / preprocessing.crop_share))
    mode = _mode(preprocessing)
    resize = v2.Resize(around, mode, antialias=True) if preprocessing.squash else Cover(around, mode)
    return [resize, v2.CenterCrop(preprocessing.size)]


def _random_crop(preprocessing: Preprocessing, smallest: float) -> list[Any]:
    mode = _mode(preprocessing)
    return [v2.RandomResizedCrop(preprocessing.size, (smallest, 1.0), interpolation=mode, antialias=True)]


def _mode(preprocessing: Preprocessing) -> InterpolationMode:
    name = preprocessing.interpolation
    if name not in INTERPOLATIONS:
        raise UserError(f"Unknown interpolation {name!r}: {did_you_mean(name, INTERPOLATIONS)}")
    return InterpolationMode(name)


def _normalised(preprocessing: Preprocessing) -> list[Any]:
    mean, std = list(preprocessing.mean), list(preprocessing.std)
    return [v2.ToDtype(torch.float32, scale=True), v2.Normalize(mean, std)]
