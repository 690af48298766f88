import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lptpp.backbones.preprocessing import Preprocessing
from lptpp.data.decode import Decoding
from lptpp.data.seen import (
    CAPTION,
    CELL,
    GAP,
    _caption,
    _font,
    _shortened,
    cropped_share,
    median_size,
    sampled_size,
    sentences,
    spread,
    strip,
)
from lptpp.data.transforms import evaluation_transform
from tests.data.test_decode import saved

PLAIN = Preprocessing((160, 160), (0.5,) * 3, (0.5,) * 3, "bicubic")
LARGE = PLAIN.at((224, 224))


@pytest.mark.parametrize(
    ("mode", "size", "text"),
    [
        ("crop", (400, 533), "cropped to the center, which leaves out 25%"),
        ("squash", (400, 533), "squashed"),
        ("pad", (400, 533), "padded with the mean color"),
        ("crop", (300, 300), "resized"),
        ("pad", (300, 300), "resized"),
        ("squash", (32, 32), "enlarged"),
        ("crop", (64, 32), "cropped to the center, which leaves out 50%, enlarged"),
    ],
)
def test_what_happens_to_the_median_image_is_told(mode: str, size: tuple[int, int], text: str) -> None:
    first, second = sentences({"visual": PLAIN.resizing(mode)}, size)[:2]
    assert first == f"Images: {size[0]} × {size[1]} pixels (median)."
    assert second == f"Expert visual sees 160 × 160 pixels: {text} (data.resize={mode})."


def test_experts_with_one_input_share_a_sentence() -> None:
    found = sentences({"a": PLAIN, "b": PLAIN, "c": LARGE.resizing("squash")}, (300, 200))
    assert [one.split(" pixels")[0] for one in found[1:]] == [
        "Experts a and b see 160 × 160",
        "Expert c sees 224 × 224",
    ]


@pytest.mark.parametrize(
    ("size", "told"), [((400, 533), True), ((533, 224), True), ((400, 223), False), ((90, 90), False)]
)
def test_a_larger_input_is_advised_where_images_are_much_larger(size: tuple[int, int], told: bool) -> None:
    found = sentences({"a": PLAIN, "b": PLAIN}, size)
    advice = "A larger experts.a.backbone.image_size and experts.b.backbone.image_size (now 160) shows more detail and"
    assert any(one.startswith(advice) for one in found) == told
    assert "image_size" not in " ".join(sentences({"a": PLAIN, "b": PLAIN.at((512, 512))}, size))


@pytest.mark.parametrize("share", [1.0, 0.875])
@pytest.mark.parametrize("size", [(90, 60), (60, 90), (250, 64)])
@pytest.mark.parametrize("mode", ["crop", "squash"])
def test_the_share_that_is_left_equals_that_of_marked_pixels(mode: str, size: tuple[int, int], share: float) -> None:
    """By hand: from the smallest and largest number in channels that number the columns and the rows."""
    one = Preprocessing((160, 160), (0.0,) * 3, (1.0,) * 3, "bilinear", share, resize=mode)
    wide, high = size
    ramp = torch.stack([torch.arange(wide).expand(high, wide), torch.arange(high)[:, None].expand(high, wide)])
    seen = 255 * evaluation_transform(one)(torch.cat([ramp, ramp[:1]]).to(torch.uint8))
    spans = [seen[0].max() - seen[0].min() + 1, seen[1].max() - seen[1].min() + 1]
    assert (spans[0] / wide * spans[1] / high).item() == pytest.approx(cropped_share(one, size), abs=0.05)


def test_the_median_is_that_of_readable_images(tmp_path: Path) -> None:
    sizes = [(10, 30), (20, 20), (40, 10)]
    files = [saved(tmp_path / f"{w}.png", Image.new("L", (w, h))) for w, h in sizes]
    assert sampled_size([*files, tmp_path / "gone.png"]) == (20, 20)
    assert sampled_size([np.zeros((3, 4, 3), np.uint8)]) == (4, 3)
    assert median_size([None]) is None
    assert spread(list(range(100)), 3) == [0, 49, 99] and spread([1], 3) == [1]  # type: ignore[comparison-overlap, list-item]


def test_a_caption_is_the_name_and_the_size_of_the_file(tmp_path: Path) -> None:
    path = saved(tmp_path / "red oak.png", Image.new("L", (1200, 30)))
    assert _caption(path, Image.new("L", (40, 1))) == "red oak.png\n1,200 × 30 pixels"
    assert _caption(np.zeros((3, 4, 3), np.uint8), Image.new("L", (4, 3))) == "\n4 × 3 pixels"
    long = path.rename(tmp_path / f"{'a' * 40}.png")
    name, size = _caption(long, Image.new("L", (40, 1))).split("\n")
    assert re.fullmatch(r"a{8,}…a{4,}\.png", name) and size == "1,200 × 30 pixels"


@pytest.mark.parametrize("letter", "W×i_")
def test_a_caption_is_drawn_within_its_image_in_a_font_that_has_the_sign(letter: str) -> None:
    width, height = _font().getbbox(_shortened(80 * letter))[2:]
    assert width <= CELL and 2 * height + 2 + 2 <= CAPTION
    absent = "\U000f0000"  # of the private use area: drawn as an empty box
    assert bytes(_font().getmask(letter)) != bytes(_font().getmask(absent))


def test_both_lines_of_a_caption_are_inside_the_picture() -> None:
    picture = strip([np.zeros((9, 9, 3), np.uint8)], {"gyqpj": PLAIN}, Decoding())
    assert picture is not None
    assert (np.asarray(picture)[-3:] == 255).all()  # nothing is cut off at the edge


def test_the_picture_has_the_images_and_below_them_each_kind_of_input() -> None:
    images = [np.full((60, 120, 3), level, np.uint8) for level in (0, 100)]
    squashed, padded = PLAIN.resizing("squash"), PLAIN.resizing("pad")
    picture = strip(images, {"a": squashed, "b": padded, "c": padded}, Decoding())
    assert picture is not None
    down = CELL + CAPTION + GAP
    assert picture.size == (2 * CELL + GAP, 3 * down)
    columns = np.asarray(picture)[:, CELL // 2, 0]
    assert (columns[:40] == 255).all() and columns[CELL // 2] == 0  # as it is: 120 × 60 on white
    assert (columns[down : down + CELL] == 0).all()  # squashed
    assert columns[2 * down] == 128  # padded
    below = [np.asarray(picture)[down * row + CELL : down * (row + 1) - GAP] for row in range(3)]
    assert all((caption[:, :CELL] < 99).any() for caption in below)
    assert [(caption[:, CELL:] < 99).any() for caption in below] == [True, False, False]  # of each file, of each input
    assert strip([np.zeros((2, 2))], {"a": PLAIN}, Decoding()) is None
