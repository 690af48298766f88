import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lptpp.data.dataset import Collection, Encoded, ImageReference, Split
from lptpp.data.inspect import Look, across_classes, across_parts, by_size, repeated, survey


def picture(i: int, width: int = 6, height: int = 4) -> Image.Image:
    return Image.fromarray(np.random.default_rng(i).integers(0, 256, (height, width, 3), dtype=np.uint8))


def saved(path: Path, image: Image.Image, **options: object) -> Path:
    image.save(path, **options)  # type: ignore[arg-type]
    return path


def encoded(image: Image.Image, name: str) -> Encoded:
    file = io.BytesIO()
    image.save(file, "PNG")
    return Encoded(file.getvalue(), name)


def collection(train: list[ImageReference], test: list[ImageReference]) -> Collection:
    splits = [Split(images, np.arange(len(images)) % 2) for images in (train, test)]
    return Collection(["a", "b"], splits[0], None, splits[1])


@pytest.fixture
def looks(tmp_path: Path) -> list[Look]:
    """0 and 1 are one picture in two formats, so are 3 (EXIF and all) and 5, and 4 in memory; 2 is broken."""
    exif = Image.Exif()
    exif[0x010E] = "a description"
    train: list[ImageReference] = [saved(tmp_path / "0.png", picture(0)), saved(tmp_path / "1.bmp", picture(0))]
    train += [tmp_path / "2.png", saved(tmp_path / "3.png", picture(3), exif=exif), np.asarray(picture(4, 40, 30))]
    (tmp_path / "2.png").write_bytes(b"no")
    test: list[ImageReference] = [encoded(picture(3), "row 5"), encoded(picture(6, 2, 3), "row 6")]
    return survey(collection(train, test))


def test_every_picture_is_looked_at(looks: list[Look], tmp_path: Path) -> None:
    assert [(look.image, look.part, look.label, look.width, look.height) for look in looks] == [
        (str(tmp_path / "0.png"), "train", 0, 6, 4),
        (str(tmp_path / "1.bmp"), "train", 1, 6, 4),
        (str(tmp_path / "2.png"), "train", 0, 0, 0),
        (str(tmp_path / "3.png"), "train", 1, 6, 4),
        ("image 4", "train", 0, 40, 30),
        ("row 5", "test", 0, 6, 4),
        ("row 6", "test", 1, 2, 3),
    ]
    assert [look.problem for look in looks] == [
        "cannot be read: not a picture in a format that Pillow knows" if i == 2 else None for i in range(7)
    ]


def test_the_same_pictures_are_found(looks: list[Look]) -> None:
    groups = repeated(looks)
    assert [[looks.index(look) for look in group] for group in groups] == [[0, 1], [3, 5]]
    assert [across_parts(group) for group in groups] == [False, True]
    assert [across_classes(group) for group in groups] == [True, True]


def test_the_same_bytes_in_another_shape_are_another_picture() -> None:
    pixels = np.asarray(picture(0, 6, 4))
    images: list[ImageReference] = [pixels, pixels.reshape(6, 4, 3), pixels.copy()]
    groups = repeated(survey(collection(images, [pixels[::-1].copy()])))
    assert [[look.image for look in group] for group in groups] == [["image 0", "image 2"]]


def test_one_pixel_makes_another_picture() -> None:
    pixels = np.asarray(picture(0)).copy()
    pixels[-1, -1, -1] ^= 1
    assert repeated(survey(collection([np.asarray(picture(0)), pixels], []))) == []


def test_broken_pictures_are_not_the_same(tmp_path: Path) -> None:
    images: list[ImageReference] = [Encoded(b"no", "1"), Encoded(b"no", "2"), np.asarray(picture(0))]
    looks = survey(collection(images, []))
    assert repeated(looks) == []
    assert [look.image for look in by_size(looks)] == ["image 2"]


def test_sizes_are_those_of_upright_pictures_in_order(looks: list[Look], tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = saved(tmp_path / "turned.jpg", picture(9, 8, 2), exif=exif)
    (look,) = survey(Collection(["a", "b"], Split([turned], np.array([0])), None, None))
    assert (look.width, look.height) == (2, 8)
    assert [found.width * found.height for found in by_size(looks)] == [6, 24, 24, 24, 24, 1200]


def test_pictures_that_are_too_large_are_faults_and_progress_is_told() -> None:
    messages: list[int] = []
    whole = collection([np.asarray(picture(0)), encoded(picture(1, 50, 50), "x")], [np.asarray(picture(2))])
    looks = survey(whole, 0.001, lambda done, total: messages.append(10 * done + total))
    assert [look.problem for look in looks] == [None, "has 0.0 megapixels, more than 0.001", None]
    assert messages == [13, 23, 33]
