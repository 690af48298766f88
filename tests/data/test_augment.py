from dataclasses import replace

import numpy as np
import pytest
import torch
from torchvision.transforms import v2

from lptpp.backbones.preprocessing import Preprocessing
from lptpp.data import augment
from lptpp.data.augment import NUMBERS, PLACE, Augmentation, adjust_colors, random_boxes, squashed_boxes
from lptpp.data.transforms import evaluation_transform
from lptpp.utils.errors import UserError
from lptpp.utils.random import uniforms
from tests.drawn import noise, smooth

PLAIN = Preprocessing((32, 32), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), "bilinear")


def boxes(shapes: list[tuple[int, int]], smallest: float, times: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    repeated = np.repeat(np.array(shapes), times, axis=0)
    numbers = rng.random((len(repeated), 2 + 2 * augment.TRIES))
    return random_boxes(repeated, smallest, numbers[:, :2], numbers[:, 2:])


def test_without_augmentation_it_equals_evaluation() -> None:
    pixels = [noise(50, 40), noise(32, 99)]
    for wanted in (replace(PLAIN, mean=(0.1, 0.2, 0.3), std=(0.5, 0.25, 2.0)), replace(PLAIN, size=(16, 48))):
        found = Augmentation(wanted, smallest_crop=1.0, flip=False, color=0.0)(pixels, [1, 2])
        torch.testing.assert_close(found, torch.stack([evaluation_transform(wanted)(one) for one in pixels]))


def test_flip_mirrors_about_half_of_the_images() -> None:
    pixels = noise(32, 32)
    straight = evaluation_transform(PLAIN)(pixels)
    results = Augmentation(PLAIN, smallest_crop=1.0, flip=True, color=0.0)([pixels] * 200, range(200))
    mirrored = [torch.allclose(result, straight.flip(-1)) for result in results]
    assert all(mirror or torch.allclose(result, straight) for mirror, result in zip(mirrored, results, strict=True))
    assert 70 < sum(mirrored) < 130


@pytest.mark.parametrize("options", [{"smallest_crop": 0.3, "color": 0.0}, {"smallest_crop": 1.0, "color": 0.4}])
def test_crop_and_color_change_the_image_and_depend_on_the_key(options: dict[str, float]) -> None:
    pixels = smooth(64, 64)
    results = Augmentation(PLAIN, flip=False, **options)([pixels] * 3, [0, 0, 1])
    assert results.shape == (3, 3, 32, 32)
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])
    assert not torch.equal(results[0], evaluation_transform(PLAIN)(pixels))


def test_a_view_does_not_depend_on_the_rest_of_the_batch() -> None:
    transform = Augmentation(PLAIN, smallest_crop=0.3, flip=True, color=0.2)
    pictures, keys = [noise(40, 40), noise(50, 60), noise(40, 40), noise(300, 200)], [5, 6, 7, 8]
    together = transform(pictures, keys)
    for place, (pixels, key) in enumerate(zip(pictures, keys, strict=True)):
        torch.testing.assert_close(transform([pixels], [key])[0], together[place], atol=1e-6, rtol=1e-5)


def test_large_images_take_another_path_to_the_same_result(monkeypatch: pytest.MonkeyPatch) -> None:
    transform = Augmentation(PLAIN, smallest_crop=0.3, flip=True, color=0.0)
    pictures = [noise(90, 70)] * 8
    small = transform(pictures, range(8))
    monkeypatch.setattr(augment, "LARGEST", 10)
    torch.testing.assert_close(transform(pictures, range(8)), small, atol=1e-5, rtol=1e-5)


def test_boxes_are_inside_the_image_and_keep_the_smallest_share() -> None:
    found = boxes([(64, 64), (48, 80)], 0.4, 500)
    assert (found[:, :2] >= 0).all()
    shapes = np.repeat([(64, 64), (48, 80)], 500, axis=0)
    assert (found[:, :2] + found[:, 2:] <= shapes).all()
    shares = found[:, 2:].prod(1) / shapes.prod(1)
    assert shares.min() > 0.4 * 0.95  # sides are rounded to pixels
    assert shares.max() > 0.9
    ratios = found[:, 3] / found[:, 2]
    assert 3 / 4 * 0.9 < ratios.min() < ratios.max() < 4 / 3 * 1.1


def test_boxes_are_distributed_as_in_torchvision() -> None:
    ours = boxes([(60, 90)], 0.2, 4000)
    torch.manual_seed(0)
    crop = v2.RandomResizedCrop(32, (0.2, 1.0))
    drawn = [crop.make_params([torch.empty(3, 60, 90)]) for _ in range(4000)]
    theirs = np.array([[one[name] for name in ("top", "left", "height", "width")] for one in drawn])
    assert ours.mean(0) == pytest.approx(theirs.mean(0), rel=0.05)
    assert ours.std(0) == pytest.approx(theirs.std(0), rel=0.05)


def test_the_fallback_is_the_largest_centered_box_of_an_allowed_ratio() -> None:
    found = boxes([(10, 1000), (1000, 10), (1, 1)], 1.0, 1)
    assert found.tolist() == [[0, 493, 10, 13], [493, 0, 13, 10], [0, 0, 1, 1]]


def test_color_jitter_equals_torchvision() -> None:
    images, factors = torch.rand(4, 3, 6, 5), torch.tensor([[0.6, 1.3, 0.0], [1.4, 0.7, 1.9], [1, 1, 1], [0, 2, 2]])
    for image, (brightness, contrast, saturation), result in zip(
        images, factors.tolist(), adjust_colors(images, factors), strict=True
    ):
        expected = v2.functional.adjust_brightness(image, brightness)
        expected = v2.functional.adjust_contrast(expected, contrast)
        expected = v2.functional.adjust_saturation(expected, saturation)
        torch.testing.assert_close(result, expected)


def test_refusals() -> None:
    with pytest.raises(UserError, match=r"crop .*0\.0"):
        Augmentation(PLAIN, smallest_crop=0.0, flip=True, color=0.0)
    with pytest.raises(UserError, match=r"color .*-1\.0"):
        Augmentation(PLAIN, smallest_crop=0.5, flip=True, color=-1.0)
    with pytest.raises(UserError, match="did you mean bicubic"):
        Augmentation(replace(PLAIN, interpolation="bicubi"), smallest_crop=0.5, flip=True, color=0.0)


MODES = ("crop", "squash", "pad")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("shape", [(40, 90), (90, 40), (300, 200), (50, 50)])
def test_crops_of_each_mode_equal_random_crops_of_the_resized_image(mode: str, shape: tuple[int, int]) -> None:
    """By hand: squash or pad the whole image to a large square, and crop that as usual."""
    wanted = PLAIN.resizing(mode)
    image, side = smooth(*shape), max(shape)
    down, across = side - shape[0], side - shape[1]
    top, left = round(down / 2), round(across / 2)
    square = {
        "crop": lambda: image,
        "squash": lambda: v2.functional.resize(image, [side, side], antialias=True),
        "pad": lambda: v2.functional.pad(image, [left, top, across - left, down - top]),
    }[mode]()
    keys = [3, 4, 5, 6]
    found = Augmentation(wanted, 0.4, True, 0.0)([image] * 4, keys)
    by_hand = Augmentation(PLAIN, 0.4, True, 0.0)([square] * 4, keys)
    assert (found - by_hand).abs().mean() < (0.02 if mode == "squash" else 1e-6)  # boxes are rounded to pixels
    if mode == "pad":
        assert wanted.mean == (0.0, 0.0, 0.0)  # so that the color of the padding is black here


def test_boxes_in_squashed_images_stay_inside_and_keep_their_share() -> None:
    shapes = np.repeat([[7, 90], [400, 30], [64, 64], [1, 2]], 500, 0)
    numbers = uniforms(np.arange(2000), NUMBERS)
    boxes = squashed_boxes(shapes, 0.5, numbers[:, PLACE], numbers[:, PLACE.stop :])
    assert (boxes[:, 2:] >= 1).all() and (boxes[:, :2] >= 0).all()
    assert (boxes[:, :2] + boxes[:, 2:] <= shapes).all()
    share = (boxes[:, 2:] / shapes).prod(axis=1)
    assert share[500:1500].min() > 0.45 and share[500:1500].max() <= 1
