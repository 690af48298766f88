import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lptpp.data.dataset import EncodedImage
from lptpp.data.decode import Decoding, _rgb, decode, try_decode, unreadable_reason


def pixels(path: Path) -> list[list[list[int]]]:
    assert unreadable_reason(path) is None
    picture = decode(path)
    assert picture.mode == "RGB"
    return np.asarray(picture).tolist()


def saved(path: Path, picture: Image.Image, **options: object) -> Path:
    picture.save(path, **options)  # type: ignore[arg-type]
    return path


def gray(*levels: int) -> list[list[list[int]]]:
    return [[[level] * 3 for level in levels]]


def test_rgb_stays(tmp_path: Path) -> None:
    array = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    assert pixels(saved(tmp_path / "a.png", Image.fromarray(array))) == array.tolist()


def test_arrays_are_used_as_is() -> None:
    array = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    assert np.asarray(decode(array)).tolist() == array.tolist()
    assert unreadable_reason(array) is None


@pytest.mark.parametrize("array", [np.zeros((2, 2), np.uint8), np.zeros((2, 2, 3)), np.zeros((0, 2, 3), np.uint8)])
def test_other_arrays_are_refused(array: np.ndarray) -> None:
    assert "expected uint8 (height, width, 3)" in str(unreadable_reason(array))


def test_gray_and_bilevel(tmp_path: Path) -> None:
    levels = Image.fromarray(np.array([[0, 100, 255]], np.uint8))
    assert pixels(saved(tmp_path / "gray.png", levels)) == gray(0, 100, 255)
    assert pixels(saved(tmp_path / "bilevel.png", levels.point(lambda v: 255 * (v > 90), "1"))) == gray(0, 255, 255)


def test_alpha_is_composited_on_white(tmp_path: Path) -> None:
    picture = Image.new("RGBA", (3, 1))
    for x, alpha in enumerate((255, 128, 0)):
        picture.putpixel((x, 0), (200, 100, 0, alpha))
    by_hand = [[[round(c * a / 255 + 255 * (1 - a / 255)) for c in (200, 100, 0)] for a in (255, 128, 0)]]
    assert pixels(saved(tmp_path / "rgba.png", picture)) == by_hand


def test_gray_with_alpha_is_composited_on_white(tmp_path: Path) -> None:
    picture = Image.merge("LA", [Image.new("L", (1, 1), 50), Image.new("L", (1, 1), 51)])
    assert pixels(saved(tmp_path / "la.png", picture)) == gray(round(50 * 0.2 + 255 * 0.8))


def palette_picture() -> Image.Image:
    picture = Image.fromarray(np.array([[0, 1]], np.uint8))
    picture.putpalette([10, 20, 30, 40, 50, 60])
    return picture


def test_palette(tmp_path: Path) -> None:
    assert pixels(saved(tmp_path / "p.png", palette_picture())) == [[[10, 20, 30], [40, 50, 60]]]


@pytest.mark.parametrize("transparency", [0, bytes([0, 255])])
def test_palette_with_a_transparent_entry(tmp_path: Path, transparency: int | bytes) -> None:
    path = saved(tmp_path / "p.png", palette_picture(), transparency=transparency)
    assert pixels(path) == [[[255, 255, 255], [40, 50, 60]]]


def test_palette_with_an_alpha_channel(tmp_path: Path) -> None:
    picture = palette_picture().convert("PA")
    picture.putalpha(Image.fromarray(np.array([[0, 255]], np.uint8)))
    path = saved(tmp_path / "pa.tiff", picture)
    with Image.open(path) as read:
        assert read.mode == "PA"
    assert pixels(path) == [[[255, 255, 255], [40, 50, 60]]]


def test_gray_with_a_transparent_level(tmp_path: Path) -> None:
    levels = Image.fromarray(np.array([[7, 8]], np.uint8))
    assert pixels(saved(tmp_path / "l.png", levels, transparency=7)) == gray(255, 8)


LEVELS = np.array([[0, 128, 257, 51400, 65535]])


@pytest.mark.parametrize(("suffix", "kind"), [("png", "<u2"), ("tiff", "<u2"), ("tiff", ">u2"), ("tiff", "<i4")])
def test_sixteen_bit_gray_is_divided_by_257(tmp_path: Path, suffix: str, kind: str) -> None:
    path = saved(tmp_path / f"a.{suffix}", Image.fromarray(LEVELS.astype(kind)))
    with Image.open(path) as picture:
        assert picture.mode.startswith("I")
    assert pixels(path) == gray(0, 0, 1, 200, 255)


def test_sixteen_bit_pgm(tmp_path: Path) -> None:
    (tmp_path / "a.pgm").write_bytes(b"P5 2 1 65535\n" + struct.pack(">HH", 65535, 514))
    assert pixels(tmp_path / "a.pgm") == gray(255, 2)


@pytest.mark.parametrize(
    ("values", "levels"),
    [
        ([0.0, 0.2, 1.0], (0, 51, 255)),
        ([-0.5, float("nan"), 0.6], (0, 0, 153)),
        ([0.0, 99.6, 300.0], (0, 100, 255)),
    ],
)
def test_floating_point_gray(tmp_path: Path, values: list[float], levels: tuple[int, ...]) -> None:
    assert pixels(saved(tmp_path / "f.tiff", Image.fromarray(np.array([values], np.float32)))) == gray(*levels)


@pytest.mark.parametrize("mode", ["YCbCr", "HSV"])  # which files open in these modes differs between releases of Pillow
def test_color_spaces_that_few_files_open_in_go_through_pillow(mode: str) -> None:
    picture = Image.new(mode, (2, 1), (60, 120, 200))
    found = np.asarray(_rgb(picture, "a")).tolist()
    assert found == np.asarray(picture.convert("RGB")).tolist()
    assert found[0][0] != [60, 120, 200]


@pytest.mark.parametrize("mode", ["CMYK", "LAB"])
def test_other_color_spaces_go_through_pillow(tmp_path: Path, mode: str) -> None:
    values = (60, 120, 200, 30)[: len(Image.new(mode, (1, 1)).getbands())]
    picture = Image.new(mode, (2, 1), values)
    path = saved(tmp_path / "a.tiff", picture)
    with Image.open(path) as read:
        assert read.mode == mode
    assert pixels(path) == np.asarray(picture.convert("RGB")).tolist()
    assert pixels(path)[0][0] != list(values[:3])


def test_first_frame_of_an_animation(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (1, 1), color) for color in ("red", "lime", "blue")]
    for suffix in ("gif", "png", "webp"):
        options = {"lossless": True} if suffix == "webp" else {}
        path = saved(tmp_path / f"a.{suffix}", frames[0], save_all=True, append_images=frames[1:], **options)
        assert pixels(path) == [[[255, 0, 0]]]


# what a viewer must show for rows [[1, 2, 3], [4, 5, 6]] stored under each EXIF orientation
UPRIGHT = {
    1: [[1, 2, 3], [4, 5, 6]],
    2: [[3, 2, 1], [6, 5, 4]],
    3: [[6, 5, 4], [3, 2, 1]],
    4: [[4, 5, 6], [1, 2, 3]],
    5: [[1, 4], [2, 5], [3, 6]],
    6: [[4, 1], [5, 2], [6, 3]],
    7: [[6, 3], [5, 2], [4, 1]],
    8: [[3, 6], [2, 5], [1, 4]],
}


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize("suffix", ["png", "tiff", "webp"])
def test_exif_orientation(tmp_path: Path, orientation: int, suffix: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = np.array(UPRIGHT[1], np.uint8)[..., None].repeat(3, axis=2)
    options = {"lossless": True} if suffix == "webp" else {}
    path = saved(tmp_path / f"a.{suffix}", Image.fromarray(stored), exif=exif, **options)
    assert np.asarray(pixels(path))[..., 0].tolist() == UPRIGHT[orientation]


def test_exif_orientation_of_a_jpeg(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    path = saved(tmp_path / "a.jpg", Image.new("RGB", (30, 10)), exif=exif)
    assert decode(path).size == (10, 30)


@pytest.mark.parametrize("exif", [b"Exif\0\0garbage!!", b"Exif\0\0II*\0\x08\0"])
@pytest.mark.parametrize("suffix", ["jpg", "webp"])
def test_damaged_exif_is_ignored(tmp_path: Path, suffix: str, exif: bytes) -> None:
    path = saved(tmp_path / f"a.{suffix}", Image.new("RGB", (30, 10), "white"), exif=exif)
    assert unreadable_reason(path) is None
    assert decode(path).size == (30, 10)


def noise() -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8))


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "gif", "bmp", "tiff", "ppm", "jp2", "tga", "ico"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_truncated_file(tmp_path: Path, suffix: str, share: float) -> None:
    path = saved(tmp_path / f"a.{suffix}", noise())
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    assert unreadable_reason(path) in (
        "cannot be read: damaged or incomplete file",
        "cannot be read: not in a supported image format",  # without a whole header
    )


def test_a_photo_cut_to_its_first_bytes_is_damaged(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.jpg", noise())
    path.write_bytes(path.read_bytes()[:300])
    assert unreadable_reason(path) == "cannot be read: damaged or incomplete file"


def test_files_that_are_not_images(tmp_path: Path) -> None:
    (tmp_path / "zero.png").touch()
    (tmp_path / "text.png").write_text("not an image")
    (tmp_path / "folder.png").mkdir()
    assert unreadable_reason(tmp_path / "zero.png") == "cannot be read: the file is empty"
    assert unreadable_reason(tmp_path / "text.png") == "cannot be read: not in a supported image format"
    assert unreadable_reason(tmp_path / "none.png") == "cannot be read: file not found"
    assert "directory" in str(unreadable_reason(tmp_path / "folder.png"))


def test_encoded_images_are_decoded_like_files(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.png", noise())
    stored = EncodedImage(path.read_bytes(), "row 1")
    assert unreadable_reason(stored) is None
    assert np.array_equal(np.asarray(decode(stored)), np.asarray(noise()))
    assert unreadable_reason(EncodedImage(b"", "row 1")) == "cannot be read: the file is empty"
    assert unreadable_reason(EncodedImage(b"text", "row 1")) == "cannot be read: not in a supported image format"
    assert str(unreadable_reason(stored, limit(0.001))).startswith("has 0.0 megapixels, more than 0.001 (")


def test_try_decode_returns_the_image_or_the_reason(tmp_path: Path) -> None:
    array = np.asarray(noise())
    found = [try_decode(reference) for reference in (array, saved(tmp_path / "a.png", noise()), array[..., 0])]
    for picture in found[:2]:
        assert isinstance(picture, Image.Image)
        assert np.array_equal(np.asarray(picture), array)
    assert "expected uint8 (height, width, 3)" in str(found[2])


def limit(megapixels: float) -> Decoding:
    return Decoding(largest_megapixels=megapixels)


def test_limit_on_megapixels(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.png", Image.new("L", (1000, 600)))
    reason = str(unreadable_reason(path, limit(0.5)))
    assert reason.startswith("has 0.6 megapixels, more than 0.5 ")
    assert "data.largest_megapixels" in reason and "--largest-megapixels" in reason
    assert unreadable_reason(path, limit(0.6)) is None


def test_the_size_of_a_decompression_bomb_is_read_from_its_header(tmp_path: Path) -> None:
    header = struct.pack(">IIBBBBB", 40_000, 30_000, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + b"IHDR" + header + struct.pack(">I", zlib.crc32(b"IHDR" + header))
    (tmp_path / "bomb.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunk + struct.pack(">I", 0) + b"IDAT")
    limit = Image.MAX_IMAGE_PIXELS
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert str(unreadable_reason(tmp_path / "bomb.png")).startswith("has 1200.0 megapixels, more than 50 (")
    assert limit == Image.MAX_IMAGE_PIXELS
