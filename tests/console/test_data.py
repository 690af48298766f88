import io
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from lptpp.config import Settings
from lptpp.console.data import show_data
from tests.conftest import draw_picture


@pytest.fixture
def show(settings_of: Callable[..., Settings], tmp_path: Path) -> Callable[..., tuple[bool, str]]:
    def shown(*overrides: str, pictures: bool = True) -> tuple[bool, str]:
        file = io.StringIO()
        console = Console(file=file, width=80, highlight=False, markup=False, emoji=False, soft_wrap=True)
        good = show_data(console, settings_of(tmp_path / "run", *overrides), tmp_path / "report", pictures)
        return good, file.getvalue()

    return shown


@pytest.fixture
def root(pictures: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(pictures, tmp_path / "data"))


def test_a_data_set_with_nothing_wrong(show: Callable[..., tuple[bool, str]], pictures: Path, tmp_path: Path) -> None:
    good, text = show()
    assert good
    assert text.startswith("many: more than 6 training images\n  1 of 4 classes, 47.1 % of the images\napple ")
    assert "4 classes; images: train 17, test 12\nimbalance factor 8.0, Gini 0.34; many: more than 6" in text
    assert f"Smallest picture: 40 × 40 pixels, {pictures}/train/apple/0.png\n" in text
    assert "No picture is there more than once.\nEvery image can be read.\n" in text
    files = "distribution.png, summary.json, classes.csv, pictures.csv, duplicates.csv"
    assert text.endswith(f"Wrote in {tmp_path}/report: {files}\n")
    assert "Without a" not in text


def test_what_was_there_is_said_to_be_replaced(show: Callable[..., tuple[bool, str]], tmp_path: Path) -> None:
    show(pictures=False)
    (tmp_path / "report" / "my notes.txt").touch()
    three = "distribution.png, summary.json, classes.csv"
    text = show()[1]
    assert text.endswith(
        f"Wrote in {tmp_path}/report: pictures.csv, duplicates.csv\nReplaced in {tmp_path}/report: {three}\n"
    )


def test_a_small_test_part_is_told_with_what_an_accuracy_on_it_means(show: Callable[..., tuple[bool, str]]) -> None:
    assert (
        "The test part is small, 3 images of a class on median: an accuracy of 50 % on its 12 images means"
        " ± 24.6 points, on the 3 of few-shot classes ± 37.5 (95 % intervals by Wilson).\n"
    ) in show()[1]
    for shot_thresholds in ("[1,2]", "[9,10]"):  # no class is few-shot, all are
        assert "few-shot classes ±" not in show(f"evaluation.shot_thresholds={shot_thresholds}", pictures=False)[1]


def test_no_such_thing_without_a_test_part_or_of_a_large_one(
    show: Callable[..., tuple[bool, str]], pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "small" not in show(f"data.root={pictures}/train", "data.test=0", pictures=False)[1]
    monkeypatch.setattr("lptpp.evaluation.intervals.WHOLE", 12)
    monkeypatch.setattr("lptpp.evaluation.intervals.EACH", 3)
    assert "small" not in show(pictures=False)[1]


def test_pictures_in_several_parts_and_classes_are_named(show: Callable[..., tuple[bool, str]], root: Path) -> None:
    for name in ("a", "b"):
        shutil.copy(root / "train" / "apple" / "0.png", root / "test" / "bear" / f"{name}.png")
    good, text = show(f"data.root={root}")
    assert good
    one, other = f"{root}/train/apple/0.png", f"{root}/test/bear/a.png"
    assert (
        f"The same picture in several parts, where the test part tells too much: 1\n  {one} (train) = {other} (test)\n"
        f"The same picture in several classes, of which one at most is right: 1\n  {one} (apple) = {other} (bear)\n"
        "Pictures that are there more than once: 1, listed in duplicates.csv.\n"
    ) in text


def test_of_many_the_first_are_named(show: Callable[..., tuple[bool, str]], root: Path) -> None:
    for i in range(7):
        shutil.copy(root / "train" / "apple" / f"{i}.png", root / "test" / "apple" / f"copy {i}.png")
        draw_picture(root / "test" / f"rare {i}" / "0.png", 0, 1000 + i)
    _, text = show(f"data.root={root}")
    assert text.count("(train) = ") == 5
    assert "tells too much: 7\n" in text
    assert "  and 2 more\nPictures that are there" in text
    assert "Without a training image: rare 0, rare 1, rare 2, rare 3, rare 4, rare 5, rare 6\n" in text
    assert "several classes" not in text


def test_pictures_that_cannot_be_used_are_all_named(show: Callable[..., tuple[bool, str]], root: Path) -> None:
    broken = [root / "train" / "apple" / f"{i}.png" for i in range(7)]
    for path in broken:
        path.write_bytes(b"")
    good, text = show(f"data.root={root}")
    assert not good
    for path in broken:
        assert f"{path}: cannot be read: the file is empty\n" in text
    assert "Images that cannot be used: 7; mend or remove them, or leave them out with data.on_error=skip." in text
    good, text = show(f"data.root={root}", "data.on_error=skip")
    assert good
    assert "Images that cannot be used: 7; fit leaves them out." in text


def test_classes_without_a_test_image_are_named(show: Callable[..., tuple[bool, str]], root: Path) -> None:
    for i in range(9):
        draw_picture(root / "train" / f"[odd] {i}, <b>" / "0.png", 0, 1000 + i)
    names = ", ".join(f"[odd] {i}, <b>" for i in range(8))
    assert f"Without a test image: {names} and 1 more\n" in show(f"data.root={root}", pictures=False)[1]


def test_a_missing_file_and_an_empty_cell_are_named_as_unreadable_pictures_are(
    show: Callable[..., tuple[bool, str]], root: Path
) -> None:
    rows = [f"{name}/{i}.png,{name}\n" for name in ("apple", "bear") for i in range(4)]
    (root / "train" / "table.csv").write_text("image,label\n" + "".join([*rows, "gone.png,bear\n", ",bear\n"]))
    table = ("data.source=csv", f"data.root={root}/train", "data.train_list=table.csv")
    good, text = show(*table, "data.on_error=skip")
    assert good
    assert f"{root}/train/gone.png: cannot be read: there is no such file\n" in text
    assert f"{root}/train/table.csv line 11: cannot be read: the row names no picture\n" in text
    assert "Images that cannot be used: 2; fit leaves them out." in text
    assert not show(*table)[0]


def test_a_data_set_that_is_only_counted(show: Callable[..., tuple[bool, str]], root: Path, tmp_path: Path) -> None:
    (root / "train" / "apple" / "0.png").write_bytes(b"")
    good, text = show(f"data.root={root}", pictures=False)
    assert good
    assert "imbalance factor 8.0" in text
    assert text.endswith(f"Wrote in {tmp_path}/report: distribution.png, summary.json, classes.csv\n")
    assert "can be read" not in text


def test_nothing_can_be_read(show: Callable[..., tuple[bool, str]], root: Path) -> None:
    for path in root.rglob("*.png"):
        path.write_bytes(b"")
    good, text = show(f"data.root={root}")
    assert not good
    assert "Images that cannot be used: 29" in text
    assert "mallest picture" not in text
