"""From uint8 pictures (3, H, W) of any size to float32 (3, height, width) as a backbone wants to look at them."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torchvision.transforms import InterpolationMode, v2

from lptpp.backbones.preprocessing import Preprocessing
from lptpp.errors import UserError, did_you_mean

INTERPOLATIONS = ("bilinear", "bicubic", "nearest", "nearest-exact")

# B pictures uint8 (3, H, W), a key of randomness for each -> float32 (B, 3, height, width)
BatchTransform = Callable[[Sequence[torch.Tensor], Sequence[int]], torch.Tensor]


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
    normalise = v2.Normalize(list(preprocessing.mean), list(preprocessing.std))
    return v2.Compose([*centre(preprocessing), v2.ToDtype(torch.float32, scale=True), normalise])


def each(transform: Callable[[torch.Tensor], torch.Tensor]) -> BatchTransform:
    """Return the transform of a batch that takes picture by picture and no randomness."""
    return lambda pictures, keys: torch.stack([transform(picture) for picture in pictures])


def centre(preprocessing: Preprocessing) -> list[Any]:
    """Return the steps that resize a picture and cut out its middle, (3, H, W) -> (3, height, width)."""
    height, width = preprocessing.size
    around = (math.floor(height / preprocessing.crop_share), math.floor(width / preprocessing.crop_share))
    mode = interpolation_mode(preprocessing)
    resize = v2.Resize(around, mode, antialias=True) if preprocessing.squash else Cover(around, mode)
    return [resize, v2.CenterCrop(preprocessing.size)]


def interpolation_mode(preprocessing: Preprocessing) -> InterpolationMode:
    """Return torchvision's name of the interpolation; raises `UserError` where it is not one of `INTERPOLATIONS`."""
    name = preprocessing.interpolation
    if name not in INTERPOLATIONS:
        raise UserError(f"Unknown interpolation {name!r}: {did_you_mean(name, INTERPOLATIONS)}")
    return InterpolationMode(name)
