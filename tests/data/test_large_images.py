"""Large photos: decoded and kept at the size that a run needs, with nearly the same crops."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import InterpolationMode, v2

from lptpp.backbones.preprocessing import Preprocessing
from lptpp.data.augment import NUMBERS, PLACE, random_boxes
from lptpp.data.cache import ImageCache
from lptpp.data.dataset import Split
from lptpp.data.decode import Decoding, decode, pixels, unreadable_reason
from lptpp.data.sizes import enough
from lptpp.data.transforms import evaluation_transform
from lptpp.utils.random import uniforms
from tests.data.test_decode import saved

PLAIN = Preprocessing((64, 64), (0.0,) * 3, (1.0,) * 3, "bicubic")
NEED = enough([PLAIN], 0.5)  # 64 / (7/8) = 73 pixels on the shorter side, 64 · √(8/3) = 105 on average
KEPT, TIMES = (121, 91), 12  # width and height that are kept of images 12 times as large


@pytest.fixture(scope="module")
def photo() -> Image.Image:
    """Return 1.6 megapixels of shapes, gradients, waves and noise."""
    y, x = np.mgrid[: TIMES * KEPT[1], : TIMES * KEPT[0]].astype(np.float32)
    waves = [np.sin(x / 31 + y / 67), np.sin(y / 23), np.sin((x + y) / 91)]
    image = np.stack([128 + 70 * wave + (x - y) / 30 for wave in waves], 2)
    image[300:600, 500:900] += 60
    image += np.random.default_rng(0).normal(0, 8, image.shape)
    return Image.fromarray(image.clip(0, 255).astype(np.uint8))


@pytest.fixture(scope="module")
def files(photo: Image.Image, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("photos")
    exif = Image.Exif()
    exif[0x0112] = 6
    return {
        "jpg": saved(folder / "a.jpg", photo, quality=92),
        "progressive": saved(folder / "p.jpg", photo, quality=92, progressive=True),
        "turned": saved(folder / "t.jpg", photo.transpose(Image.Transpose.ROTATE_90), quality=92, exif=exif),
        "gray": saved(folder / "g.jpg", photo.convert("L"), quality=92),
        "cmyk": saved(folder / "c.jpg", photo.convert("CMYK"), quality=92),
        "png": saved(folder / "a.png", photo),
    }


@pytest.mark.parametrize("kind", ["jpg", "progressive", "turned", "gray", "cmyk", "png"])
def test_a_large_image_is_kept_at_the_smallest_size_that_is_enough(kind: str, files: dict[str, Path]) -> None:
    shrunk, full = decode(files[kind], Decoding(NEED)), decode(files[kind])
    assert (shrunk.size, full.size) == (KEPT, (1452, 1092))
    by_hand = np.asarray(full.resize(KEPT, Image.Resampling.BOX), np.float32)
    assert np.abs(np.asarray(shrunk, np.float32) - by_hand).mean() < 2.5


def test_arrays_are_shrunk_like_files(photo: Image.Image, files: dict[str, Path]) -> None:
    assert np.array_equal(decode(np.asarray(photo), Decoding(NEED)), decode(files["png"], Decoding(NEED)))


def test_images_below_twice_the_size_keep_every_pixel(photo: Image.Image, tmp_path: Path) -> None:
    for width, side in ((240, "kept"), (260, "shrunk")):
        path = saved(tmp_path / f"{width}.png", photo.resize((width, width * 3 // 4)))
        same = np.array_equal(decode(path, Decoding(NEED)), decode(path))
        assert same == (side == "kept")


VIEWS = {
    "crop": evaluation_transform(PLAIN),
    "squash": evaluation_transform(PLAIN.resizing("squash")),
    "pad": evaluation_transform(PLAIN.resizing("pad")),
}


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("kind", ["jpg", "png"])
def test_views_of_the_shrunk_and_of_the_full_image_differ_little(view: str, kind: str, files: dict[str, Path]) -> None:
    shrunk, full = (VIEWS[view](pixels(decode(files[kind], how))) for how in (Decoding(NEED), Decoding()))
    difference = 255 * (shrunk - full).abs()
    assert difference.mean() < 1
    assert difference.max() < 10


@pytest.mark.parametrize("kind", ["jpg", "png"])
def test_random_crops_of_the_shrunk_and_of_the_full_image_differ_little(kind: str, files: dict[str, Path]) -> None:
    numbers = uniforms(np.arange(20), NUMBERS)
    places, sizes = numbers[:, PLACE], numbers[:, PLACE.stop :]
    boxes = random_boxes(np.repeat([[KEPT[1], KEPT[0]]], 20, 0), 0.5, places, sizes)
    shrunk, full = (pixels(decode(files[kind], how)) for how in (Decoding(NEED), Decoding()))
    differences = []
    for box in boxes.tolist():
        small = cropped(shrunk, box)
        large = cropped(full, [TIMES * side for side in box])
        differences.append((small - large).abs())
    assert torch.stack(differences).mean() < 1
    assert torch.stack(differences).max() < 12
    same_keys = random_boxes(np.repeat([[TIMES * KEPT[1], TIMES * KEPT[0]]], 20, 0), 0.5, places, sizes)
    near = np.abs(same_keys / TIMES - boxes).max(axis=1) <= 1
    assert near.mean() >= 0.9  # a run on full images draws the same boxes, unless rounding decides whether one fits


def cropped(image: torch.Tensor, box: list[int]) -> torch.Tensor:
    return v2.functional.resized_crop(image.float(), *box, [64, 64], InterpolationMode.BICUBIC, antialias=True)


def test_the_limit_counts_the_pixels_that_are_decoded(files: dict[str, Path]) -> None:
    small = Decoding(NEED, largest_megapixels=0.1)  # 1,452 / 4 × 1,092 / 4 = 0.099 megapixels
    assert unreadable_reason(files["jpg"], small) is None
    assert unreadable_reason(files["turned"], small) is None
    for kind in ("png", "progressive"):  # a PNG is decoded in full, and so are the coefficients of a progressive JPEG
        assert str(unreadable_reason(files[kind], small)).startswith("has 1.6 megapixels, more than 0.1 (")
    assert str(unreadable_reason(files["jpg"], replace(small, largest_megapixels=0.05))).startswith("has 0.1 mega")
    assert "1.6 megapixels" in str(unreadable_reason(files["jpg"], Decoding(largest_megapixels=0.1)))  # not shrunk


def test_a_truncated_photo_is_unreadable_at_any_size(files: dict[str, Path], tmp_path: Path) -> None:
    data = files["jpg"].read_bytes()
    (tmp_path / "half.jpg").write_bytes(data[: len(data) // 2])
    assert str(unreadable_reason(tmp_path / "half.jpg", Decoding(NEED))).startswith("cannot be read: ")


def test_the_cache_keeps_photos_small(files: dict[str, Path]) -> None:
    bytes_of_one = KEPT[0] * KEPT[1] * 3
    cache = ImageCache(Split([files["jpg"]] * 3, np.zeros(3)), 3 * bytes_of_one, Decoding(NEED))
    cache.fill()
    assert [tuple(cache.load(i).shape) for i in range(3)] == [(3, KEPT[1], KEPT[0])] * 3
    assert all(cache.load(i) is cache.load(i) for i in range(3))
