"""Random augmentation of training images: a batch at a time, each image by its own random key."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torchvision.transforms import v2

from lptpp.backbones.preprocessing import Preprocessing
from lptpp.data.transforms import KERNELS, interpolation_mode, mean_color, padded, resample, resize_and_crop
from lptpp.utils.errors import UserError
from lptpp.utils.random import uniforms

TRIES = 10  # random boxes tried before the fallback
MIRROR, COLORS, PLACE = 0, slice(1, 4), slice(4, 6)  # use of an image's random numbers; the rest are box sizes
NUMBERS = 6 + 2 * TRIES
RATIOS = (3 / 4, 4 / 3)  # allowed width over height of a box
LARGEST = 160  # pixels of the longer side up to which two matrix products are faster than a call per image


class Augmentation:
    """Random crop, horizontal flip, color jitter and normalization to a backbone's input.

    `smallest_crop` is the smallest share of the area that a random crop keeps (1 = center crop as in evaluation);
    `flip` mirrors half of the images; `color` is the strength of the brightness, contrast and saturation jitter
    (0 = none). `preprocessing.crops` is the mode of resizing: crops are taken from the image as it is, from the image
    squashed to a square, or from the image padded to a square.

    Raises:
        UserError: `smallest_crop` is not in (0, 1], `color` is negative, or the interpolation is unknown.
    """

    def __init__(self, preprocessing: Preprocessing, smallest_crop: float, flip: bool, color: float) -> None:
        if not 0 < smallest_crop <= 1:
            raise UserError(f"The smallest crop must be above 0 and at most 1, found {smallest_crop}.")
        if color < 0:
            raise UserError(f"The color jitter strength must be at least 0, found {color}.")
        self.preprocessing = preprocessing
        self.mode = interpolation_mode(preprocessing)
        self.center = v2.Compose(resize_and_crop(preprocessing))
        self.color_of_padding = mean_color(preprocessing)
        self.smallest_crop, self.flip, self.color = smallest_crop, flip, color

    def __call__(self, images: Sequence[torch.Tensor], keys: Sequence[int]) -> torch.Tensor:
        """Return float32 (B, 3, height, width) from B images uint8 (3, H, W) of any size, with a key for each."""
        numbers = uniforms(np.array(keys), NUMBERS)  # (B, NUMBERS)
        crops = self._crop(images, numbers) / 255
        if self.flip:
            mirrored = torch.from_numpy(numbers[:, MIRROR] < 0.5)[:, None, None, None]
            crops = torch.where(mirrored, crops.flip(-1), crops)
        if self.color:
            low = max(0.0, 1 - self.color)
            factors = low + (1 + self.color - low) * numbers[:, COLORS]
            crops = adjust_colors(crops, torch.from_numpy(factors).float())
        return v2.functional.normalize(crops, list(self.preprocessing.mean), list(self.preprocessing.std))

    def _crop(self, images: Sequence[torch.Tensor], numbers: np.ndarray) -> torch.Tensor:
        """Return float32 crops (B, 3, height, width) with values from 0 to 255."""
        if self.smallest_crop == 1:
            return torch.stack([self.center(image) for image in images]).float()
        if self.preprocessing.crops == "pad":
            images = [padded(image, (max(image.shape[1:]),) * 2, self.color_of_padding) for image in images]
        shapes = np.array([image.shape[1:] for image in images])  # (B, 2)
        boxes = torch.from_numpy(self._boxes(shapes, numbers))
        crops = torch.empty(len(images), 3, *self.preprocessing.size)
        for shape in np.unique(shapes, axis=0):
            alike = np.flatnonzero((shapes == shape).all(1)).tolist()
            crops[alike] = self._resized_crops([images[i] for i in alike], boxes[alike])
        return crops

    def _boxes(self, shapes: np.ndarray, numbers: np.ndarray) -> np.ndarray:
        places, sizes = numbers[:, PLACE], numbers[:, PLACE.stop :]
        if self.preprocessing.crops == "squash":
            return squashed_boxes(shapes, self.smallest_crop, places, sizes)
        return random_boxes(shapes, self.smallest_crop, places, sizes)

    def _resized_crops(self, images: list[torch.Tensor], boxes: torch.Tensor) -> torch.Tensor:
        """Return the crops of images of one size."""
        size, interpolation = self.preprocessing.size, self.preprocessing.interpolation
        if max(images[0].shape) <= LARGEST and interpolation in KERNELS:
            return resample(torch.stack(images), boxes, size, interpolation)
        crops = [
            v2.functional.resized_crop(image.float(), *box, size, self.mode, antialias=True)
            for image, box in zip(images, boxes.tolist(), strict=True)
        ]
        return torch.stack(crops)


def random_boxes(shapes: np.ndarray, smallest: float, place: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Return boxes (B, 4) int64 of top, left, height, width in images of `shapes` (B, 2), height and width.

    As in torchvision's RandomResizedCrop, the share of the area (at least `smallest`) and the logarithm of the aspect
    ratio are uniform, and the first of `TRIES` boxes that fits is taken; if none fits, the largest centered box with an
    allowed ratio. `place` (B, 2) and `sizes` (B, 2·TRIES) are uniform numbers in [0, 1).
    """
    high, wide = shapes[:, :1], shapes[:, 1:]  # (B, 1) each
    area = high * wide * (smallest + (1 - smallest) * sizes[:, :TRIES])  # (B, TRIES)
    ratio = np.exp(np.log(RATIOS[0]) + math.log(RATIOS[1] / RATIOS[0]) * sizes[:, TRIES:])
    tried = np.stack([np.sqrt(area / ratio), np.sqrt(area * ratio)], axis=2).round()  # (B, TRIES, 2)
    fits = ((tried >= 1) & (tried <= shapes[:, None])).all(axis=2)  # (B, TRIES)
    first, found = fits.argmax(axis=1), np.any(fits, axis=1, keepdims=True)
    chosen = np.where(found, tried[np.arange(len(tried)), first], _largest(shapes))
    room = shapes - chosen
    corner = np.where(found, np.floor(place * (room + 1)), room // 2)
    return np.concatenate([corner, chosen], axis=1).astype(np.int64)


def squashed_boxes(shapes: np.ndarray, smallest: float, place: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Return the boxes (B, 4) of `random_boxes` in the squares that images of `shapes` (B, 2) are squashed to."""
    squares = np.repeat(shapes.max(axis=1, keepdims=True), 2, axis=1)  # (B, 2)
    boxes = random_boxes(squares, smallest, place, sizes)
    shrink = shapes / squares
    corner = np.minimum(np.round(boxes[:, :2] * shrink), shapes - 1)
    size = np.clip(np.round(boxes[:, 2:] * shrink), 1, shapes - corner)
    return np.concatenate([corner, size], axis=1).astype(np.int64)


def _largest(shapes: np.ndarray) -> np.ndarray:
    high, wide = shapes[:, 0], shapes[:, 1]
    return np.stack([np.minimum(high, (wide / RATIOS[0]).round()), np.minimum(wide, (high * RATIOS[1]).round())], 1)


def adjust_colors(images: torch.Tensor, factors: torch.Tensor) -> torch.Tensor:
    """Scale brightness, contrast and saturation of images (B, 3, H, W) in [0, 1] by factors (B, 3), in that order."""
    brightness, contrast, saturation = factors[:, :, None, None, None].unbind(1)
    images = (images * brightness).clamp(0, 1)
    mean = v2.functional.rgb_to_grayscale(images).mean((1, 2, 3), keepdim=True)
    images = (contrast * images + (1 - contrast) * mean).clamp(0, 1)
    return (saturation * images + (1 - saturation) * v2.functional.rgb_to_grayscale(images)).clamp(0, 1)
