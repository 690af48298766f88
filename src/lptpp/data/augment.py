"""The random transform of training pictures: a whole batch at once, the randomness of each from its own key."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torchvision.transforms import v2

from lptpp.backbones.base import Preprocessing
from lptpp.data.transforms import KERNELS, center, interpolation_mode, resample
from lptpp.utils.errors import UserError
from lptpp.utils.random import uniforms

TRIES = 10  # boxes drawn before the largest that fits is taken
MIRROR, COLORS, PLACE = 0, slice(1, 4), slice(4, 6)  # what the random numbers of a picture are for; then the boxes
NUMBERS = 6 + 2 * TRIES
RATIOS = (3 / 4, 4 / 3)  # width over height of a box
LARGEST = 160  # pixels of a side up to which two matrix products beat a call for each picture


class Augmentation:
    """Random crop, mirror image, color, and normalization, as one backbone wants its pictures.

    `smallest_crop` is the smallest share of the area that a random crop keeps (1 = no random crop but the
    geometry of evaluation); `flip` mirrors half of the images; `color` is the strength of changes to
    brightness, contrast and saturation (0 = none).

    Raises:
        UserError: `smallest_crop` is not in (0, 1], `color` is negative, the interpolation is unknown.
    """

    def __init__(self, preprocessing: Preprocessing, smallest_crop: float, flip: bool, color: float) -> None:
        if not 0 < smallest_crop <= 1:
            raise UserError(f"The smallest crop is a share of the image, above 0 and at most 1, not {smallest_crop}.")
        if color < 0:
            raise UserError(f"The strength of color changes must be at least 0, not {color}.")
        self.preprocessing = preprocessing
        self.mode = interpolation_mode(preprocessing)
        self.center = v2.Compose(center(preprocessing))
        self.smallest_crop, self.flip, self.color = smallest_crop, flip, color

    def __call__(self, pictures: Sequence[torch.Tensor], keys: Sequence[int]) -> torch.Tensor:
        """Return float32 (B, 3, height, width) from B pictures uint8 (3, H, W) of any size and a key for each."""
        numbers = uniforms(np.array(keys), NUMBERS)  # (B, NUMBERS)
        images = self._geometry(pictures, numbers) / 255
        if self.flip:
            mirrored = torch.from_numpy(numbers[:, MIRROR] < 0.5)[:, None, None, None]
            images = torch.where(mirrored, images.flip(-1), images)
        if self.color:
            low = max(0.0, 1 - self.color)
            factors = low + (1 + self.color - low) * numbers[:, COLORS]
            images = colored(images, torch.from_numpy(factors).float())
        return v2.functional.normalize(images, list(self.preprocessing.mean), list(self.preprocessing.std))

    def _geometry(self, pictures: Sequence[torch.Tensor], numbers: np.ndarray) -> torch.Tensor:
        if self.smallest_crop == 1:
            return torch.stack([self.center(picture) for picture in pictures]).float()
        shapes = np.array([picture.shape[1:] for picture in pictures])  # (B, 2)
        boxes = torch.from_numpy(random_boxes(shapes, self.smallest_crop, numbers[:, PLACE], numbers[:, PLACE.stop :]))
        images = torch.empty(len(pictures), 3, *self.preprocessing.size)
        for shape in np.unique(shapes, axis=0):
            alike = np.flatnonzero((shapes == shape).all(1)).tolist()
            images[alike] = self._crops([pictures[i] for i in alike], boxes[alike])
        return images

    def _crops(self, pictures: list[torch.Tensor], boxes: torch.Tensor) -> torch.Tensor:
        size, interpolation = self.preprocessing.size, self.preprocessing.interpolation
        if max(pictures[0].shape) <= LARGEST and interpolation in KERNELS:
            return resample(torch.stack(pictures), boxes, size, interpolation)
        crops = [
            v2.functional.resized_crop(picture.float(), *box, size, self.mode, antialias=True)
            for picture, box in zip(pictures, boxes.tolist(), strict=True)
        ]
        return torch.stack(crops)


def random_boxes(shapes: np.ndarray, smallest: float, place: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Return boxes (B, 4) int64 of top, left, height, width in pictures of `shapes` (B, 2), height and width.

    Each is the first of `TRIES` that fits: its share of the area and the logarithm of its ratio are uniform, as in
    torchvision's RandomResizedCrop; where none fits, the largest in the middle whose ratio is allowed. `place` (B, 2)
    and `sizes` (B, 2·TRIES) hold uniform numbers in [0, 1).
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


def _largest(shapes: np.ndarray) -> np.ndarray:
    high, wide = shapes[:, 0], shapes[:, 1]
    return np.stack([np.minimum(high, (wide / RATIOS[0]).round()), np.minimum(wide, (high * RATIOS[1]).round())], 1)


def colored(images: torch.Tensor, factors: torch.Tensor) -> torch.Tensor:
    """Change brightness, contrast and saturation of images (B, 3, H, W) in 0 to 1 by factors (B, 3), in that order."""
    brightness, contrast, saturation = factors[:, :, None, None, None].unbind(1)
    images = (images * brightness).clamp(0, 1)
    mean = v2.functional.rgb_to_grayscale(images).mean((1, 2, 3), keepdim=True)
    images = (contrast * images + (1 - contrast) * mean).clamp(0, 1)
    return (saturation * images + (1 - saturation) * v2.functional.rgb_to_grayscale(images)).clamp(0, 1)
