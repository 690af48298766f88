"""From uint8 pictures (3, H, W) of any size to float32 (3, height, width) as a backbone wants to look at them."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torchvision.transforms import InterpolationMode, v2

from lptpp.backbones.base import Preprocessing
from lptpp.utils.errors import UserError, did_you_mean


def resample(pictures: torch.Tensor, boxes: torch.Tensor, size: tuple[int, int], interpolation: str) -> torch.Tensor:
    """Return float32 pictures (B, 3, height, width) from boxes of `pictures` (B, 3, H, W), values as they were.

    `boxes` is (B, 4) int64: top, left, height and width of what is kept, inside the picture.
    """
    top, left, high, wide = boxes.unbind(1)
    down = weights(top, high, pictures.shape[2], size[0], interpolation)  # (B, height, H)
    across = weights(left, wide, pictures.shape[3], size[1], interpolation)  # (B, width, W)
    return down[:, None] @ (pictures.float() @ across[:, None].transpose(-2, -1))


def weights(start: torch.Tensor, length: torch.Tensor, pixels: int, out: int, interpolation: str) -> torch.Tensor:
    """Return how much each of `pixels` counts in each of `out` output pixels, (B, out, pixels); the sums are 1."""
    start, length = start[:, None, None], length[:, None, None]  # (B, 1, 1)
    scale = length / out  # pixels an output pixel covers
    center = start + (torch.arange(out, device=start.device)[:, None] + 0.5) * scale  # (B, out, 1)
    places = torch.arange(pixels, device=start.device)  # (pixels,)
    kernel = KERNELS[interpolation]((places + 0.5 - center) / scale.clamp(min=1))  # wider where it shrinks
    kernel = kernel * ((places >= start) & (places < start + length))
    return kernel / kernel.sum(-1, keepdim=True)


def _triangle(x: torch.Tensor) -> torch.Tensor:
    return (1 - x.abs()).clamp(min=0)


def _cubic(x: torch.Tensor, a: float = -0.5) -> torch.Tensor:
    x = x.abs()
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = a * (((x - 5) * x + 8) * x - 4)
    return torch.where(x < 1, near, torch.where(x < 2, far, torch.zeros_like(x)))


KERNELS = {"bilinear": _triangle, "bicubic": _cubic}

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
    """Return the transform of images that are only looked at: resize, center crop, normalize (no randomness).

    Raises:
        UserError: the interpolation is not one of `INTERPOLATIONS`.
    """
    normalize = v2.Normalize(list(preprocessing.mean), list(preprocessing.std))
    return v2.Compose([*center(preprocessing), v2.ToDtype(torch.float32, scale=True), normalize])


def each(transform: Callable[[torch.Tensor], torch.Tensor]) -> BatchTransform:
    """Return the transform of a batch that takes picture by picture and no randomness."""
    return lambda pictures, keys: torch.stack([transform(picture) for picture in pictures])


def center(preprocessing: Preprocessing) -> list[Any]:
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
