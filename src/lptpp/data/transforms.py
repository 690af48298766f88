"""Resizing, cropping and normalization: from uint8 images (3, H, W) of any size to a backbone's float32 input.

`Preprocessing.resize` is one of three modes: `crop` resizes the image until it covers the input and crops its center,
`squash` ignores the aspect ratio, `pad` shows the whole image on a background of the mean color.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torchvision.transforms import InterpolationMode, v2

from lptpp.backbones.preprocessing import Preprocessing
from lptpp.utils.errors import UserError, did_you_mean

INTERPOLATIONS = ("bilinear", "bicubic", "nearest", "nearest-exact")

# B images uint8 (3, H, W), a random key for each -> float32 (B, 3, height, width)
BatchTransform = Callable[[Sequence[torch.Tensor], Sequence[int]], torch.Tensor]


def evaluation_transform(preprocessing: Preprocessing) -> v2.Compose:
    """Return the transform without randomness: resize, center crop, normalize.

    Raises:
        UserError: the interpolation is not one of `INTERPOLATIONS`.
    """
    normalize = v2.Normalize(list(preprocessing.mean), list(preprocessing.std))
    return v2.Compose([*resize_and_crop(preprocessing), v2.ToDtype(torch.float32, scale=True), normalize])


def per_image(transform: Callable[[torch.Tensor], torch.Tensor]) -> BatchTransform:
    """Return the batch transform that applies `transform` to each image and ignores the random keys."""
    return lambda images, keys: torch.stack([transform(image) for image in images])


def resize_and_crop(preprocessing: Preprocessing) -> list[Any]:
    """Return the steps that resize an image and crop its center, (3, H, W) -> (3, height, width)."""
    height, width = preprocessing.size
    resized = (math.floor(height / preprocessing.crop_share), math.floor(width / preprocessing.crop_share))
    mode = interpolation_mode(preprocessing)
    resize = {
        "crop": lambda: ResizeToCover(resized, mode),
        "squash": lambda: v2.Resize(resized, mode, antialias=True),
        "pad": lambda: ResizeAndPad(resized, mode, mean_color(preprocessing)),
    }[preprocessing.resize]()
    return [resize, v2.CenterCrop(preprocessing.size)]


def mean_color(preprocessing: Preprocessing) -> tuple[int, int, int]:
    """Return the mean of the backbone's training images as RGB levels: normalized, it is nearly 0."""
    red, green, blue = (round(255 * mean) for mean in preprocessing.mean)
    return red, green, blue


def interpolation_mode(preprocessing: Preprocessing) -> InterpolationMode:
    """Return torchvision's interpolation mode; raises `UserError` if it is not one of `INTERPOLATIONS`."""
    name = preprocessing.interpolation
    if name not in INTERPOLATIONS:
        raise UserError(f"Unknown interpolation {name!r}: {did_you_mean(name, INTERPOLATIONS)}")
    return InterpolationMode(name)


class ResizeToCover(torch.nn.Module):
    """Resize to the smallest size that covers (height, width), keeping the aspect ratio."""

    def __init__(self, size: tuple[int, int], interpolation: InterpolationMode) -> None:
        super().__init__()
        self.size = size
        self.interpolation = interpolation

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return the resized image, (3, H, W) -> (3, H', W')."""
        (high, wide), (height, width) = image.shape[-2:], self.size
        if high * width <= wide * height:
            size = [height, int(height * wide / high)]
        else:
            size = [int(width * high / wide), width]
        return v2.functional.resize(image, size, self.interpolation, antialias=True)


class ResizeAndPad(torch.nn.Module):
    """Resize to the largest size that fits in (height, width) without distortion, on a background of one color."""

    def __init__(self, size: tuple[int, int], interpolation: InterpolationMode, color: tuple[int, int, int]) -> None:
        super().__init__()
        self.size = size
        self.interpolation = interpolation
        self.color = color

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return the resized and padded image, uint8 (3, H, W) -> (3, height, width)."""
        (high, wide), (height, width) = image.shape[-2:], self.size
        scale = min(height / high, width / wide)
        size = [max(1, round(high * scale)), max(1, round(wide * scale))]
        return padded(v2.functional.resize(image, size, self.interpolation, antialias=True), self.size, self.color)


def padded(image: torch.Tensor, size: tuple[int, int], color: tuple[int, int, int]) -> torch.Tensor:
    """Return an image (3, H, W) in the middle of a background (3, height, width) of one RGB color."""
    (high, wide), (height, width) = image.shape[-2:], size
    background = torch.tensor(color, dtype=image.dtype)[:, None, None].repeat(1, height, width)
    top, left = round((height - high) / 2), round((width - wide) / 2)  # as Pillow's ImageOps.pad
    background[:, top : top + high, left : left + wide] = image
    return background


def resample(images: torch.Tensor, boxes: torch.Tensor, size: tuple[int, int], interpolation: str) -> torch.Tensor:
    """Crop a box from each of `images` (B, 3, H, W) and resize it to float32 (B, 3, height, width); same value range.

    Equals torchvision's antialiased `resized_crop`, as two matrix products per batch. `boxes` is (B, 4) int64: top,
    left, height and width, inside the image.
    """
    top, left, high, wide = boxes.unbind(1)
    down = resample_weights(top, high, images.shape[2], size[0], interpolation)  # (B, height, H)
    across = resample_weights(left, wide, images.shape[3], size[1], interpolation)  # (B, width, W)
    return down[:, None] @ (images.float() @ across[:, None].transpose(-2, -1))


def resample_weights(
    start: torch.Tensor, length: torch.Tensor, pixels: int, out: int, interpolation: str
) -> torch.Tensor:
    """Return the weight of each of `pixels` in each of `out` output pixels, (B, out, pixels); rows sum to 1.

    Output pixels cover the interval of `length` (B,) pixels from `start` (B,) on.
    """
    start, length = start[:, None, None], length[:, None, None]  # (B, 1, 1)
    scale = length / out  # input pixels per output pixel
    center = start + (torch.arange(out, device=start.device)[:, None] + 0.5) * scale  # (B, out, 1)
    positions = torch.arange(pixels, device=start.device)  # (pixels,)
    kernel = KERNELS[interpolation]((positions + 0.5 - center) / scale.clamp(min=1))  # wider when downsampling
    kernel = kernel * ((positions >= start) & (positions < start + length))
    return kernel / kernel.sum(-1, keepdim=True)


def _triangle(x: torch.Tensor) -> torch.Tensor:
    return (1 - x.abs()).clamp(min=0)


def _cubic(x: torch.Tensor, a: float = -0.5) -> torch.Tensor:
    x = x.abs()
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = a * (((x - 5) * x + 8) * x - 4)
    return torch.where(x < 1, near, torch.where(x < 2, far, torch.zeros_like(x)))


KERNELS = {"bilinear": _triangle, "bicubic": _cubic}
