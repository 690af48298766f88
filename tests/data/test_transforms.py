from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import InterpolationMode, v2

from lptpp.backbones.preprocessing import Preprocessing
from lptpp.data.transforms import evaluation_transform, per_image, resample, resample_weights
from lptpp.utils.errors import UserError
from tests.drawn import noise, smooth

BOXES = torch.tensor([[0, 0, 40, 30], [5, 7, 20, 11], [38, 28, 2, 2], [0, 10, 1, 20], [3, 0, 37, 1]])
PLAIN = Preprocessing((32, 32), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), "bilinear")


def test_normalizes_channel_by_channel() -> None:
    wanted = replace(PLAIN, mean=(0.1, 0.2, 0.3), std=(0.5, 0.25, 2.0))
    pixels = noise(32, 32)
    result = evaluation_transform(wanted)(pixels)
    assert result.dtype == torch.float32
    for c, (mean, std) in enumerate(zip(wanted.mean, wanted.std, strict=True)):
        torch.testing.assert_close(result[c], (pixels[c].double() / 255 - mean).div(std).float())


@pytest.mark.parametrize("size", [(50, 80), (80, 50), (33, 97), (20, 20), (7, 300)])
@pytest.mark.parametrize("crop_share", [1.0, 0.875, 0.9])
def test_square_geometry_is_resize_of_the_shorter_side_and_center_crop(
    size: tuple[int, int], crop_share: float
) -> None:
    by_hand = v2.Compose([v2.Resize(int(32 / crop_share), antialias=True), v2.CenterCrop(32)])
    result = evaluation_transform(replace(PLAIN, crop_share=crop_share))(noise(*size))
    torch.testing.assert_close(result, by_hand(noise(*size)) / 255)


def test_equals_pillow_resize() -> None:
    pixels = smooth(96, 64)
    resized = Image.fromarray(pixels.permute(1, 2, 0).numpy()).resize((32, 48), Image.Resampling.BICUBIC)
    by_pillow = np.asarray(resized.crop((0, 8, 32, 40)), np.float32) / 255
    result = evaluation_transform(replace(PLAIN, interpolation="bicubic"))(pixels)
    assert np.abs(result.permute(1, 2, 0).numpy() - by_pillow).max() < 2 / 255


@pytest.mark.parametrize("size", [(40, 40), (10, 90), (90, 10)])
def test_rectangular_sizes_keep_the_aspect_ratio(size: tuple[int, int]) -> None:
    result = evaluation_transform(replace(PLAIN, size=(16, 48)))(smooth(*size))
    assert result.shape == (3, 16, 48)
    across, down = result[0].diff(dim=1).mean(), result[1].diff(dim=0).mean()
    # the red ramp has width - 1 steps and the green one height - 1: equal scales keep that ratio
    assert (across / down).item() == pytest.approx((size[0] - 1) / (size[1] - 1), rel=0.05)


@pytest.mark.parametrize("size", [(40, 40), (300, 500), (500, 100)])
def test_squash_with_a_crop_resizes_both_sides_and_then_crops_the_center(size: tuple[int, int]) -> None:
    chosen = replace(PLAIN, size=(224, 224)).evaluated_by("squash", 0.875)
    by_hand = v2.Compose([v2.Resize((256, 256), antialias=True), v2.CenterCrop(224)])
    torch.testing.assert_close(evaluation_transform(chosen)(noise(*size)), by_hand(noise(*size)) / 255)


@pytest.mark.parametrize("own_resize", ["crop", "squash"])
@pytest.mark.parametrize("resize", ["squash", "pad", None])
@pytest.mark.parametrize("share", [0.8, None])
def test_a_resize_replaces_that_of_the_backbone_in_evaluation_and_null_keeps_it(own_resize, resize, share) -> None:
    own = replace(PLAIN, resize=own_resize, crop_share=0.9)
    expected = replace(own, resize=resize or own_resize, crop_share=share or 0.9)
    assert own.evaluated_by(resize, share) == expected


def test_squash_keeps_the_whole_image() -> None:
    result = evaluation_transform(replace(PLAIN, resize="squash"))(smooth(64, 128))
    assert result.shape == (3, 32, 32)
    assert result[0, 0, 0] < 0.03
    assert result[0, 0, -1] > 0.97
    cropped = evaluation_transform(PLAIN)(smooth(64, 128))
    assert cropped[0, 0, 0] > 0.2


def stripes(height: int, width: int) -> torch.Tensor:
    """Return a white image with a black frame of one eighth of each side."""
    image = torch.full((3, height, width), 255, dtype=torch.uint8)
    for side, edge in ((1, height // 8), (2, width // 8)):
        image.narrow(side, 0, edge)[:] = 0
        image.narrow(side, image.shape[side] - edge, edge)[:] = 0
    return image


@pytest.mark.parametrize("size", [(64, 128), (128, 64), (96, 96), (40, 200), (16, 24)])
def test_pad_shows_the_whole_image_on_the_mean_color(size: tuple[int, int]) -> None:
    gray = replace(PLAIN, mean=(0.5, 0.25, 0.75), crop_share=0.9).resizing("pad")
    result = evaluation_transform(gray)(stripes(*size)) * torch.tensor(gray.std)[:, None, None]
    result += torch.tensor(gray.mean)[:, None, None]  # denormalized
    high, wide = (round(side * 32 / max(size)) for side in size)
    top, left = round((32 - high) / 2), round((32 - wide) / 2)
    by_hand = torch.tensor([128, 64, 191.0])[:, None, None].repeat(1, 32, 32) / 255
    resized = v2.functional.resize(stripes(*size), [high, wide], InterpolationMode.BILINEAR, antialias=True)
    by_hand[:, top : top + high, left : left + wide] = resized / 255
    torch.testing.assert_close(result, by_hand)


def test_normalized_padding_is_nearly_zero() -> None:
    wanted = Preprocessing((32, 32), (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), "bicubic").resizing("pad")
    assert evaluation_transform(wanted)(stripes(8, 32))[:, :8].abs().max() < 0.01


def test_a_chosen_mode_shows_the_whole_image_and_null_is_the_backbone() -> None:
    own = replace(PLAIN, crop_share=0.875, resize="squash")
    assert own.resizing(None) is own
    assert (own.resizing("squash").crop_share, own.resizing("pad").crop_share, own.resizing("crop").crop_share) == (
        1.0,
        1.0,
        0.875,
    )
    for mode in ("crop", "squash", "pad"):
        assert (own.resizing(mode).resize, own.resizing(mode).crops) == (mode, mode)


def test_a_batch_equals_its_images_one_by_one() -> None:
    transform = evaluation_transform(PLAIN)
    pictures = [noise(40, 50), noise(33, 32)]
    assert torch.equal(per_image(transform)(pictures, [0, 1]), torch.stack([transform(one) for one in pictures]))


def test_refusals() -> None:
    with pytest.raises(UserError, match="did you mean bicubic"):
        evaluation_transform(replace(PLAIN, interpolation="bicubi"))


@pytest.mark.parametrize("name", ["bilinear", "bicubic", "nearest", "nearest-exact"])
def test_interpolations_are_those_of_torchvision(name: str) -> None:
    resize = v2.Resize(32, InterpolationMode(name), antialias=True)
    result = evaluation_transform(replace(PLAIN, interpolation=name))(noise(65, 65))
    torch.testing.assert_close(result, resize(noise(65, 65)) / 255)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("size", [(32, 32), (16, 48), (7, 64), (1, 1)])
def test_resample_equals_torchvision(size: tuple[int, int], interpolation: str) -> None:
    pictures = torch.rand(len(BOXES), 3, 40, 30, generator=torch.Generator().manual_seed(0))
    found = resample(pictures, BOXES, size, interpolation)
    mode = InterpolationMode(interpolation)
    for picture, box, result in zip(pictures, BOXES.tolist(), found, strict=True):
        expected = v2.functional.resized_crop(picture, *box, size, mode, antialias=True)
        torch.testing.assert_close(result, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_weights_sum_to_one_and_stay_in_the_box(interpolation: str) -> None:
    found = resample_weights(torch.tensor([3, 0]), torch.tensor([5, 12]), 12, 9, interpolation)
    torch.testing.assert_close(found.sum(-1), torch.ones(2, 9))
    assert not found[0, :, :3].any()
    assert not found[0, :, 8:].any()
