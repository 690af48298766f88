from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lptpp.data.cache import Pictures, check
from lptpp.data.dataset import Split
from lptpp.utils.errors import UserError


def files(folder: Path, colors: list[int], size: int = 4) -> Split:
    folder.mkdir(exist_ok=True)
    paths = [folder / f"{i}.png" for i in range(len(colors))]
    for path, color in zip(paths, colors, strict=True):
        Image.new("RGB", (size, size + 1), (color, 0, 0)).save(path)
    return Split(list(paths), np.arange(len(colors)) % 2)


BYTES = 4 * 5 * 3  # of one such picture in memory


def test_load_gives_channels_first(tmp_path: Path) -> None:
    picture = Pictures(files(tmp_path, [9]), memory_bytes=0).load(0)
    assert picture.shape == (3, 5, 4)
    assert picture.dtype == torch.uint8
    assert picture[0].unique().tolist() == [9]
    assert picture[1:].unique().tolist() == [0]


def test_keeps_pictures_while_they_fit(tmp_path: Path) -> None:
    split = files(tmp_path, [1, 2, 3])
    pictures = Pictures(split, memory_bytes=2 * BYTES + 1)
    first = [pictures.load(i) for i in (2, 0, 1)]
    for path in split.images:
        path.unlink()  # type: ignore[union-attr]
    assert pictures.load(2) is first[0]
    assert pictures.load(0) is first[1]
    with pytest.raises(UserError, match=r"1\.png cannot be read \(there is no such file\): mend it"):
        pictures.load(1)


@pytest.mark.parametrize(("room", "kept"), [(0, 0), (BYTES, 1), (150 * BYTES, 100)])
def test_fill_keeps_the_first_that_fit(room: int, kept: int) -> None:
    split = Split([np.full((5, 4, 3), i, np.uint8) for i in range(100)], np.zeros(100))
    pictures = Pictures(split, memory_bytes=room)
    pictures.fill()
    again = [pictures.load(i) is pictures.load(i) for i in range(100)]
    assert again == [True] * kept + [False] * (100 - kept)
    assert [int(pictures.load(i)[0, 0, 0]) for i in range(100)] == list(range(100))


def test_once_full_nothing_more_is_kept() -> None:
    small, large = np.zeros((1, 1, 3), np.uint8), np.zeros((9, 9, 3), np.uint8)
    pictures = Pictures(Split([small, large, small], np.zeros(3)), memory_bytes=100)
    pictures.fill()
    assert [pictures.load(i) is pictures.load(i) for i in range(3)] == [True, False, False]


def spoil(split: Split, *indices: int) -> None:
    for i in indices:
        Path(str(split.images[i])).write_text("no picture")


def test_check_of_good_images_returns_them_and_tells_progress(tmp_path: Path) -> None:
    splits = {"train": files(tmp_path / "a", [1, 2, 3]), "test": files(tmp_path / "b", [4, 5])}
    messages: list[tuple[int, int]] = []
    good, faults = check(splits, progress=lambda done, total: messages.append((done, total)))
    assert {name: split.images for name, split in good.items()} == {n: s.images for n, s in splits.items()}
    assert faults == []
    assert messages == [(i, 5) for i in range(1, 6)]


def test_check_names_all_bad_images_at_once(tmp_path: Path) -> None:
    splits = {"train": files(tmp_path / "a", [1, 2, 3]), "test": files(tmp_path / "b", [4, 5])}
    spoil(splits["train"], 0, 2)
    spoil(splits["test"], 1)
    with pytest.raises(UserError) as error:
        check(splits)
    lines = str(error.value).split("\n")
    assert lines[0].startswith("3 image(s) cannot be used")
    assert "data.on_error=skip" in lines[0]
    assert [line.split(": ")[0] for line in lines[1:]] == [
        str(tmp_path / name) for name in ("a/0.png", "a/2.png", "b/1.png")
    ]


def test_check_lists_fifty_bad_images_at_most(tmp_path: Path) -> None:
    split = Split([tmp_path / f"{i}.png" for i in range(53)], np.zeros(53))
    with pytest.raises(UserError) as error:
        check({"train": split})
    lines = str(error.value).split("\n")
    assert len(lines) == 1 + 50 + 1
    assert lines[-1] == "and 3 more"


def test_check_skips_bad_images(tmp_path: Path) -> None:
    splits = {"train": files(tmp_path / "a", [1, 2, 3]), "test": files(tmp_path / "b", [4, 5])}
    spoil(splits["train"], 1)
    good, faults = check(splits, on_error="skip")
    assert faults == [
        (str(tmp_path / "a/1.png"), "cannot be read: not a picture in a format that Pillow knows"),
    ]
    assert good["train"].images == [tmp_path / "a/0.png", tmp_path / "a/2.png"]
    assert good["train"].counts(2).tolist() == [2, 0]
    assert good["test"].images == splits["test"].images


def test_check_obeys_the_limit_on_size(tmp_path: Path) -> None:
    big = files(tmp_path, [1], size=300)
    with pytest.raises(UserError, match=r"has 0\.1 megapixels, more than 0\.05"):
        check({"train": big}, largest_megapixels=0.05)


def test_check_refuses_a_part_with_nothing_left(tmp_path: Path) -> None:
    splits = {"train": files(tmp_path / "a", [1]), "test": files(tmp_path / "b", [4])}
    spoil(splits["test"], 0)
    with pytest.raises(UserError, match="No image of the test part"):
        check(splits, on_error="skip")
