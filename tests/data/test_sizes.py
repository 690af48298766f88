import math
from dataclasses import replace

import numpy as np
import pytest

from lptpp.backbones.preprocessing import Preprocessing
from lptpp.data.augment import NUMBERS, PLACE, random_boxes, squashed_boxes
from lptpp.data.sizes import FULL, Enough, enough
from lptpp.utils.random import uniforms

PLAIN = Preprocessing((32, 32), (0.5,) * 3, (0.5,) * 3, "bilinear")
SHAPES = [(400, 300), (300, 400), (640, 210), (900, 90), (512, 512)]  # width, height


def sides_of_crops(need: Enough, width: int, height: int, smallest: float, mode: str) -> np.ndarray:
    """Return the sides (B, 2) of 4,000 random crops of an image shrunk to what is needed."""
    wide, high = need.size(width, height)
    if mode == "pad":
        wide = high = max(wide, high)
    numbers = uniforms(np.arange(4000), NUMBERS)
    make = squashed_boxes if mode == "squash" else random_boxes
    return make(np.repeat([[high, wide]], 4000, 0), smallest, numbers[:, PLACE], numbers[:, PLACE.stop :])[:, 2:]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("mode", ["crop", "squash", "pad"])
@pytest.mark.parametrize("smallest", [0.3, 0.7])
def test_no_random_crop_of_a_shrunk_image_is_enlarged_and_a_smaller_image_has_one(
    shape: tuple[int, int], mode: str, smallest: float
) -> None:
    need = enough([replace(PLAIN, resize=mode, crops=mode)], smallest)
    assert sides_of_crops(need, *shape, smallest, mode).min() >= 32
    less = Enough(*(0.94 * bound for bound in (need.shorter, need.mean, need.longer)))
    resized = 32 * 8 / 7
    if less.scale(*shape) > resized / (max(shape) if mode == "pad" else min(shape)):  # else: needed for evaluation
        assert sides_of_crops(less, *shape, smallest, mode).min() < 32


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("share", [0.5, 0.875, 1.0])
def test_no_evaluation_view_of_a_shrunk_image_is_enlarged(shape: tuple[int, int], share: float) -> None:
    wanted = 32 / min(share, 7 / 8)  # the resized image of `five_crops`
    for mode in ("crop", "squash"):
        width, height = enough([replace(PLAIN, crop_share=share, resize=mode)], 1).size(*shape)
        assert wanted <= min(width, height) < wanted + 1
    width, height = enough([replace(PLAIN, crop_share=share, resize="pad", crops="pad")], 1).size(*shape)
    assert wanted <= max(width, height) < wanted + 1


def test_several_backbones_need_what_the_largest_needs() -> None:
    large = PLAIN.at((224, 224))
    assert enough([PLAIN, large], 0.5) == enough([large], 0.5)
    padded = large.resizing("pad")
    both = enough([PLAIN, padded], 0.5)
    assert (both.shorter, both.longer) == (enough([PLAIN], 0.5).shorter, enough([padded], 0.5).longer)


def test_images_up_to_twice_the_size_stay_as_they_are() -> None:
    need = Enough(shorter=100)
    assert [need.shrinks(400, side) for side in (99, 199, 200, 201)] == [False, False, True, True]
    assert need.size(400, 200) == (200, 100)
    assert need.size(50, 50) == (50, 50)  # never enlarged
    assert not FULL.shrinks(10**5, 10**5)
    assert not enough([], 0.5).shrinks(10**5, 10**5)


def test_the_default_sizes_of_the_documentation() -> None:
    need = enough([PLAIN.at((160, 160))], 0.5)
    assert need.size(4000, 3000) == (302, 227)
    assert need.mean == pytest.approx(160 * math.sqrt(8 / 3))
