import io
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from rich.console import Console

from lptpp.config import DataSettings, Settings
from lptpp.console.data import check_folder, described, show_data
from lptpp.utils.errors import UserError
from tests import golden
from tests.conftest import draw_picture


@pytest.fixture
def show(settings_of: Callable[..., Settings], tmp_path: Path) -> Callable[..., tuple[bool, str]]:
    def shown(*overrides: str, pictures: bool = True) -> tuple[bool, str]:
        file = io.StringIO()
        console = Console(file=file, width=80, highlight=False, markup=False, emoji=False, soft_wrap=True)
        good = show_data(console, settings_of(tmp_path / "run", *overrides), tmp_path / "report", pictures)
        return good, file.getvalue()

    return shown


def readable(text: str, data: Path, folder: Path) -> str:
    return text.replace(str(data), "DATA").replace(str(folder), "FOLDER")


@pytest.fixture
def root(pictures: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(pictures, tmp_path / "data"))


def test_a_data_set_without_problems(show: Callable[..., tuple[bool, str]], pictures: Path, tmp_path: Path) -> None:
    good, text = show()
    assert good
    golden.check("data_command", readable(text, pictures, tmp_path))
    files = "distribution.png, summary.json, classes.csv, images.csv, duplicates.csv, seen.png"
    assert text.endswith(f" {tmp_path}/report: {files}\n")


def test_data_are_inspected_without_a_backbone(
    show: Callable[..., tuple[bool, str]], caplog: pytest.LogCaptureFixture
) -> None:
    good, text = show("experts.visual.backbone.name=vit_unknown", "experts.visual.backbone.weights=null")
    assert good and "Images: 40 × 40 pixels (median).\n" in text
    assert "seen.png" not in text
    (message,) = caplog.messages
    assert message.startswith("The size and shape of the model input are unknown: Unknown vision backbone vit_unknown")


def test_what_the_model_sees_follows_the_settings(show: Callable[..., tuple[bool, str]], tmp_path: Path) -> None:
    _, text = show("data.resize=pad", "experts.visual.backbone.image_size=128")
    assert "Expert visual sees 128 × 128 pixels: enlarged (data.resize=pad)." in text
    assert "Expert language sees 64 × 64 pixels" in text
    with Image.open(tmp_path / "report" / "seen.png") as picture:
        assert picture.height > 3 * 160  # the images, and two kinds of input


def test_existing_files_are_reported_as_replaced(show: Callable[..., tuple[bool, str]], tmp_path: Path) -> None:
    show(pictures=False)
    (tmp_path / "report" / "my notes.txt").touch()
    three = "distribution.png, summary.json, classes.csv"
    text = show()[1]
    *_, new, replaced = text.splitlines()
    assert new.endswith(f" {tmp_path}/report: images.csv, duplicates.csv, seen.png")
    assert replaced.endswith(f" {tmp_path}/report: {three}")


def test_a_small_test_split_is_reported_with_intervals(show: Callable[..., tuple[bool, str]]) -> None:
    (line,) = [line for line in show()[1].splitlines() if "±" in line]
    assert re.findall(r"[\d.]*\d", line) == ["3", "95", "50", "24.6", "12", "37.5", "3"]
    for shot_thresholds in ("[1,2]", "[9,10]"):  # no class is few-shot, all are
        text = show(f"evaluation.shot_thresholds={shot_thresholds}", pictures=False)[1]
        (line,) = [line for line in text.splitlines() if "±" in line]
        assert "few-shot" not in line


def test_thresholds_are_suggested_if_all_classes_are_in_one_group(show: Callable[..., tuple[bool, str]]) -> None:
    line = "All classes are {}-shot. To split them into three groups, set evaluation.shot_thresholds=[3,5]."
    for shot_thresholds, shot in (("[20,100]", "few"), ("[1,8]", "medium")):
        assert line.format(shot) in show(f"evaluation.shot_thresholds={shot_thresholds}", pictures=False)[1]
    assert "shot_thresholds" not in show("evaluation.shot_thresholds=[2,100]", pictures=False)[1]


def test_no_intervals_without_a_test_split_or_for_a_large_one(
    show: Callable[..., tuple[bool, str]], pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "small" not in show(f"data.root={pictures}/train", "data.test=0", pictures=False)[1]
    monkeypatch.setattr("lptpp.evaluation.intervals.SMALL_SPLIT", 12)
    monkeypatch.setattr("lptpp.evaluation.intervals.SMALL_CLASS", 3)
    text = show(pictures=False)[1]
    assert "split is small" not in text
    assert text.endswith(
        f"\n{tmp_path}/report contained the report of {pictures}/train; it was replaced. To keep both, set --output.\n"
    )
    assert "it was replaced" not in show(pictures=False)[1]


def test_duplicates_across_splits_and_classes_are_named(show: Callable[..., tuple[bool, str]], root: Path) -> None:
    for name in ("a", "b"):
        shutil.copy(root / "train" / "apple" / "0.png", root / "test" / "bear" / f"{name}.png")
    good, text = show(f"data.root={root}")
    assert good
    one, other = f"{root}/train/apple/0.png", f"{root}/test/bear/a.png"
    assert f": 1\n  {one} (train) = {other} (test)\n" in text
    assert f": 1\n  {one} (apple) = {other} (bear)\n" in text
    assert "duplicates.csv.\n" in text


def test_of_many_duplicates_the_first_are_named(
    show: Callable[..., tuple[bool, str]], root: Path, tmp_path: Path
) -> None:
    for i in range(7):
        shutil.copy(root / "train" / "apple" / f"{i}.png", root / "test" / "apple" / f"copy {i}.png")
        draw_picture(root / "test" / f"rare {i}" / "0.png", 0, 1000 + i)
    _, text = show(f"data.root={root}")
    assert text.count("(train) = ") == 5
    assert "): 7\n" in text
    assert "  … and 2 more\n" in text
    assert "(7): rare 0, rare 1, rare 2, rare 3, rare 4, rare 5, rare 6\n" in text
    assert "across classes" not in text
    golden.check("data_command_duplicates", readable(text, root, tmp_path))


def test_ignored_files_are_named_and_all_are_in_a_file(
    show: Callable[..., tuple[bool, str]], root: Path, tmp_path: Path
) -> None:
    for number in range(5):
        (root / "train" / "apple" / f"{number}.txt").touch()
    _, text = show(f"data.root={root}", pictures=False)
    line = f"Ignored files in {root}/train/apple: 5 .txt (0.txt, 1.txt, 2.txt and 2 more)"
    assert f"{line}\nDetails of these warnings: {tmp_path}/report/data_warnings.csv\n" in text
    assert (tmp_path / "report" / "data_warnings.csv").read_text().count(".txt,") == 5


def test_unreadable_images_are_all_named(show: Callable[..., tuple[bool, str]], root: Path) -> None:
    broken = [root / "train" / "apple" / f"{i}.png" for i in range(7)]
    for path in broken:
        path.write_bytes(b"")
    good, text = show(f"data.root={root}")
    assert not good
    for path in broken:
        assert f"{path}: " in text
    assert "Unreadable images: 7; " in text and "data.on_error=skip" in text
    good, text = show(f"data.root={root}", "data.on_error=skip")
    assert good
    assert "Unreadable images: 7; " in text and "data.on_error=skip" not in text


def test_classes_without_a_test_image_are_named(show: Callable[..., tuple[bool, str]], root: Path) -> None:
    for i in range(9):
        draw_picture(root / "train" / f"[odd] {i}, <b>" / "0.png", 0, 1000 + i)
    names = ", ".join(f"[odd] {i}, <b>" for i in range(8))
    assert f"(9): {names} and 1 more\n" in show(f"data.root={root}", pictures=False)[1]


def test_a_missing_file_and_an_empty_cell_are_unreadable_images(
    show: Callable[..., tuple[bool, str]], root: Path
) -> None:
    rows = [f"{name}/{i}.png,{name}\n" for name in ("apple", "bear") for i in range(4)]
    (root / "train" / "table.csv").write_text("image,label\n" + "".join([*rows, "gone.png,bear\n", ",bear\n"]))
    table = ("data.source=csv", f"data.root={root}/train", "data.train_list=table.csv")
    good, text = show(*table, "data.on_error=skip")
    assert good
    assert f"{root}/train/gone.png: " in text
    assert f"{root}/train/table.csv line 11: " in text
    assert "Unreadable images: 2; " in text
    assert not show(*table)[0]


def test_a_data_set_that_is_only_counted(show: Callable[..., tuple[bool, str]], root: Path, tmp_path: Path) -> None:
    (root / "train" / "apple" / "0.png").write_bytes(b"")
    good, text = show(f"data.root={root}", pictures=False)
    assert good
    assert "imbalance factor 8.0" in text
    assert text.endswith(f" {tmp_path}/report: distribution.png, summary.json, classes.csv\n")
    assert "readable" not in text


def test_nothing_can_be_read(show: Callable[..., tuple[bool, str]], root: Path) -> None:
    for path in root.rglob("*.png"):
        path.write_bytes(b"")
    good, text = show(f"data.root={root}")
    assert not good
    assert "Unreadable images: 29" in text
    assert "Smallest" not in text


def test_a_folder_that_it_did_not_make_is_left_alone(tmp_path):
    check_folder(tmp_path / "new", "trees")
    check_folder(tmp_path, "trees")  # empty
    (tmp_path / "summary.json").write_text('{"imbalance_factor": 2.0, "data": "trees"}')
    check_folder(tmp_path, "trees")
    assert check_folder(tmp_path, "birds") == "trees"
    for content in ('{"mine": 1}', "not JSON", "[]", "3"):
        (tmp_path / "summary.json").write_text(content)
        with pytest.raises(UserError, match="set another folder with --output"):
            check_folder(tmp_path, "trees")
    with pytest.raises(UserError, match="is not a report"):
        check_folder(tmp_path / "summary.json", "trees")


def test_a_report_says_what_it_is_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "trees").mkdir()
    monkeypatch.chdir(tmp_path)
    kinds = {
        "emoji": DataSettings(source="emoji"),
        f"{tmp_path}/trees": DataSettings(source="folder", root="trees"),
        "a.csv": DataSettings(source="csv", train_list="a.csv"),
        f"a.csv, b.csv in {tmp_path}/trees": DataSettings(
            source="csv", train_list="a.csv", test_list="b.csv", root="trees"
        ),
        "owner/name": DataSettings(source="huggingface", root="owner/name"),
    }
    assert [described(data) for data in kinds.values()] == list(kinds)
