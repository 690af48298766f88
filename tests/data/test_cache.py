from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lptpp.data.cache import ImageCache
from lptpp.data.dataset import Split
from lptpp.data.decode import Decoding
from lptpp.data.sizes import Enough
from lptpp.utils.errors import UserError


def files(folder: Path, colors: list[int], size: int = 4) -> Split:
    folder.mkdir(exist_ok=True)
    paths = [folder / f"{i}.png" for i in range(len(colors))]
    for path, color in zip(paths, colors, strict=True):
        Image.new("RGB", (size, size + 1), (color, 0, 0)).save(path)
    return Split(list(paths), np.arange(len(colors)) % 2)


BYTES = 4 * 5 * 3  # of one such image


def test_load_gives_channels_first(tmp_path: Path) -> None:
    picture = ImageCache(files(tmp_path, [9]), memory_bytes=0).load(0)
    assert picture.shape == (3, 5, 4)
    assert picture.dtype == torch.uint8
    assert picture[0].unique().tolist() == [9]
    assert picture[1:].unique().tolist() == [0]


def test_caches_images_while_they_fit(tmp_path: Path) -> None:
    split = files(tmp_path, [1, 2, 3])
    pictures = ImageCache(split, memory_bytes=2 * BYTES + 1)
    first = [pictures.load(i) for i in (2, 0, 1)]
    for path in split.images:
        path.unlink()  # type: ignore[union-attr]
    assert pictures.load(2) is first[0]
    assert pictures.load(0) is first[1]
    with pytest.raises(UserError, match=r"1\.png .*file not found"):
        pictures.load(1)


@pytest.mark.parametrize(("room", "kept"), [(0, 0), (BYTES, 1), (150 * BYTES, 100)])
def test_fill_caches_the_first_that_fit(room: int, kept: int) -> None:
    split = Split([np.full((5, 4, 3), i, np.uint8) for i in range(100)], np.zeros(100))
    pictures = ImageCache(split, memory_bytes=room)
    pictures.fill()
    again = [pictures.load(i) is pictures.load(i) for i in range(100)]
    assert again == [True] * kept + [False] * (100 - kept)
    assert [int(pictures.load(i)[0, 0, 0]) for i in range(100)] == list(range(100))


def test_nothing_is_cached_once_full() -> None:
    small, large = np.zeros((1, 1, 3), np.uint8), np.zeros((9, 9, 3), np.uint8)
    pictures = ImageCache(Split([small, large, small], np.zeros(3)), memory_bytes=100)
    pictures.fill()
    assert [pictures.load(i) is pictures.load(i) for i in range(3)] == [True, False, False]


def test_a_subset_decodes_in_the_same_way_and_keeps_nothing(tmp_path: Path) -> None:
    split = files(tmp_path, [1, 2, 3], size=100)
    whole = ImageCache(split, 2**20, Decoding(Enough(shorter=10)))
    part = whole.subset(np.array([2, 0]))
    assert [int(part.load(i)[0, 0, 0]) for i in range(2)] == [3, 1]
    assert part.load(0).shape == (3, 11, 10)
    assert part.load(0) is not part.load(0)
