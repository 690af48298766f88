"""Files as cameras, phones and other programs write them: EXIF variants, PNG texts, HEIC, odd sizes and modes."""

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features

from lptpp.data.decode import decode, image_size, unreadable_reason
from lptpp.data.formats import is_heif, without_texts
from tests.data.test_decode import noise, saved

Save = Callable[[Path, Image.Image, Image.Exif], None]


def upright() -> Image.Image:
    """Return a picture with red on the left."""
    picture = Image.new("RGB", (40, 20), "white")
    picture.paste((255, 0, 0), (0, 0, 20, 20))
    return picture


def exif(orientation: int, **more: object) -> Image.Exif:
    found = Image.Exif()
    found[0x0112] = orientation
    return found


def gps() -> Image.Exif:
    found = exif(6)
    found[0x8825] = {1: "", 2: (0, 0, 0), 3: "", 4: (0, 0, 0)}
    return found


def is_upright(path: Path) -> bool:
    pixels = np.asarray(decode(path)).astype(int)
    return pixels.shape == (20, 40, 3) and pixels[10, 5, 1] < 60 and pixels[10, 35, 1] > 200


TURNED = upright().transpose(Image.Transpose.ROTATE_90)  # stored on its side: orientation 6 turns it back
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
TURNED_FILES: dict[str, tuple[str, dict[str, object]]] = {
    "plain": ("jpg", {"exif": exif(6), "quality": 95}),
    "header written twice": ("jpg", {"exif": b"Exif\0\0" + exif(6).tobytes(), "quality": 95}),
    "damaged position": ("jpg", {"exif": gps(), "quality": 95}),
    "XMP": ("jpg", {"xmp": XMP, "quality": 95}),
    "png": ("png", {"exif": exif(6)}),
    "webp": ("webp", {"exif": exif(6), "lossless": True}),
    "tag of a TIFF": ("tif", {"tiffinfo": {0x0112: 6}}),
    "compressed TIFF": ("tif", {"tiffinfo": {0x0112: 6}, "compression": "tiff_lzw"}),
    "avif": ("avif", {"exif": exif(6), "quality": 100}),
    "two frames": ("mpo", {"exif": exif(6), "save_all": True, "append_images": [upright()], "quality": 95}),
}


@pytest.mark.parametrize("kind", TURNED_FILES)
def test_images_are_turned_upright_once(kind: str, tmp_path: Path) -> None:
    suffix, options = TURNED_FILES[kind]
    if suffix == "avif" and not features.check("avif"):
        pytest.skip("Pillow without AVIF")
    path = saved(tmp_path / f"a.{suffix}", TURNED, **options)
    if kind == "XMP" and XMP not in path.read_bytes():
        pytest.skip("this Pillow does not write XMP")
    assert is_upright(path)
    assert image_size(path) == (40, 20)


def test_two_frames_or_a_video_in_a_jpeg_do_not_matter(tmp_path: Path) -> None:
    frames = saved(tmp_path / "a.mpo", TURNED, save_all=True, append_images=[upright()], exif=exif(6))
    plain = saved(tmp_path / "plain.jpg", TURNED, exif=exif(6), quality=95)
    for name, data in (
        ("frames.jpg", frames.read_bytes()),
        ("video.jpg", plain.read_bytes() + bytes(5000) + b"ftypmp42"),
    ):
        (tmp_path / name).write_bytes(data)
        assert is_upright(tmp_path / name)


@pytest.mark.parametrize("orientation", [0, 9])
def test_unknown_orientations_are_ignored(orientation: int, tmp_path: Path) -> None:
    path = saved(tmp_path / "a.jpg", upright(), exif=exif(orientation), quality=95)
    assert is_upright(path)
    assert image_size(path) == (40, 20)


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def text(megabytes: float, name: bytes = b"prompt") -> bytes:
    return chunk(b"zTXt", name + b"\0\0" + zlib.compress(b"x" * int(megabytes * 1e6)))


LARGE = {
    "one text": text(3),
    "many texts": b"".join(text(1, b"k%d" % i) for i in range(70)),
    "color profile": chunk(b"iCCP", b"big\0\0" + zlib.compress(b"x" * 3_000_000)),
}


@pytest.mark.parametrize("kind", LARGE)
@pytest.mark.parametrize("at_the_end", [False, True])
def test_large_texts_and_profiles_of_a_png_do_not_matter(kind: str, at_the_end: bool, tmp_path: Path) -> None:
    file = io.BytesIO()
    noise().save(file, "PNG", exif=exif(6))
    place = len(file.getvalue()) - 12 if at_the_end else 33  # before IEND, after IHDR
    data = file.getvalue()[:place] + LARGE[kind] + file.getvalue()[place:]
    (tmp_path / "a.png").write_bytes(data)
    turned = np.rot90(np.asarray(noise()), -1)  # the orientation is kept
    assert np.array_equal(np.asarray(decode(tmp_path / "a.png")), turned)
    assert without_texts(data) == file.getvalue()


@pytest.mark.parametrize("size", [(1, 1), (3, 2), (1, 100), (100, 1)])
def test_small_images_are_read(size: tuple[int, int], tmp_path: Path) -> None:
    path = saved(tmp_path / "a.png", Image.new("RGB", size, "red"))
    assert unreadable_reason(path) is None


@pytest.mark.parametrize("size", [(1, 101), (400, 1), (1, 200_000), (50_000, 300)])
def test_images_more_than_a_hundred_times_as_long_as_wide_are_refused(size: tuple[int, int], tmp_path: Path) -> None:
    path = saved(tmp_path / "a.png", Image.new("1", size))
    reason = f"is {size[0]:,} × {size[1]:,} pixels, an aspect ratio above 100"
    assert unreadable_reason(path) == reason
    assert unreadable_reason(np.zeros((size[1], size[0], 3), np.uint8)) == reason


def test_misnamed_and_missing_pixels(tmp_path: Path) -> None:
    png = saved(tmp_path / "a.png", noise()).read_bytes()
    (tmp_path / "really.jpg").write_bytes(png)
    (tmp_path / "page.jpg").write_bytes(b"<html>404</html>")
    assert np.array_equal(np.asarray(decode(tmp_path / "really.jpg")), np.asarray(noise()))
    assert unreadable_reason(tmp_path / "page.jpg") == "cannot be read: not in a supported image format"
    pages = saved(tmp_path / "a.tif", noise(), save_all=True, append_images=[Image.new("RGB", (9, 9))])
    assert np.array_equal(np.asarray(decode(pages)), np.asarray(noise()))  # the first page


HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"


def test_heic_without_its_extra_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pillow_heif", None)
    (tmp_path / "a.heic").write_bytes(HEIC)
    reason = str(unreadable_reason(tmp_path / "a.heic"))
    assert reason.startswith("cannot be read: HEIC requires an extra") and "lptpp[heif]" in reason
    assert is_heif(HEIC) and not is_heif(HEIC.replace(b"heic", b"avif"))


def test_heic_is_read_upright(tmp_path: Path) -> None:
    heif = pytest.importorskip("pillow_heif")
    heif.from_pillow(TURNED).save(tmp_path / "a.heic", quality=95, exif=exif(6).tobytes())
    assert is_upright(tmp_path / "a.heic")
    assert image_size(tmp_path / "a.heic") == (40, 20)
