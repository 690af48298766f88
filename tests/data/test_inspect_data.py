import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lptpp.config import Settings
from lptpp.console.data import write_inspection
from lptpp.data.inspect import inspect_data
from lptpp.data.statistics import summary
from tests.conftest import COUNTS, TESTED


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def root(pictures: Path, tmp_path: Path) -> Path:
    """The small data set with a leak, a picture in two classes, one there twice, a broken and a tiny one."""
    root = Path(shutil.copytree(pictures, tmp_path / "data"))
    shutil.copy(root / "train" / "apple" / "0.png", root / "test" / "apple" / "leak.png")
    shutil.copy(root / "train" / "bear" / "0.png", root / "train" / "car" / "conflict.png")
    shutil.copy(root / "train" / "apple" / "2.png", root / "train" / "apple" / "again.png")
    (root / "train" / "bear" / "1.png").write_bytes(b"no")
    Image.fromarray(np.zeros((2, 3, 3), np.uint8)).save(root / "test" / "dog" / "tiny.png")
    return root


@pytest.fixture
def folder(root: Path, settings_of: Callable[..., Settings], tmp_path: Path) -> Path:
    inspection = inspect_data(settings_of(tmp_path / "run", f"data.root={root}"))
    files = write_inspection(inspection, tmp_path / "new" / "report")
    assert {path.name for path in (tmp_path / "new" / "report").iterdir()} == set(files)
    return tmp_path / "new" / "report"


def test_classes_with_their_shots_and_images_in_every_part(folder: Path) -> None:
    train = COUNTS | {"apple": COUNTS["apple"] + 1, "car": COUNTS["car"] + 1}
    shots = {"apple": "many", "bear": "medium", "car": "medium", "dog": "few"}  # the borders are 2 and 6
    extra = {"apple": 1, "dog": 1}
    assert rows(folder / "classes.csv") == [
        {"class": name, "shot": shots[name], "train": str(train[name]), "test": str(TESTED + extra.get(name, 0))}
        for name in COUNTS
    ]


def test_pictures_with_their_sizes_and_faults(folder: Path, root: Path) -> None:
    found = {row.pop("image"): row for row in rows(folder / "pictures.csv")}
    assert len(found) == sum(COUNTS.values()) + 2 + 4 * TESTED + 2
    assert found[f"{root}/test/dog/tiny.png"] == {
        "part": "test", "class": "dog", "width": "3", "height": "2", "problem": "",
    }  # fmt: skip
    broken = found[f"{root}/train/bear/1.png"]
    assert (broken["width"], broken["height"]) == ("", "")
    assert broken["problem"] == "cannot be read: not a picture in a format that Pillow knows"


def test_pictures_that_are_there_more_than_once(folder: Path, root: Path) -> None:
    found = [tuple(row.values()) for row in rows(folder / "duplicates.csv")]
    assert found == [
        ("1", f"{root}/train/apple/0.png", "train", "apple", "yes", "no"),
        ("1", f"{root}/test/apple/leak.png", "test", "apple", "yes", "no"),
        ("2", f"{root}/train/apple/2.png", "train", "apple", "no", "no"),
        ("2", f"{root}/train/apple/again.png", "train", "apple", "no", "no"),
        ("3", f"{root}/train/bear/0.png", "train", "bear", "no", "yes"),
        ("3", f"{root}/train/car/conflict.png", "train", "car", "no", "yes"),
    ]


def test_the_summary(folder: Path, root: Path, settings_of: Callable[..., Settings], tmp_path: Path) -> None:
    found = json.loads((folder / "summary.json").read_text())
    pictures = found.pop("pictures")
    assert (found["imbalance_factor"], found["classes"], found["images"]) == (9.0, 4, {"train": 19, "test": 14})
    counted = inspect_data(settings_of(tmp_path / "run", f"data.root={root}"), pictures=False)
    assert found == json.loads(json.dumps(summary(counted.collection, (2, 6))))
    assert {key: value for key, value in pictures.items() if isinstance(value, int)} == {
        "unreadable": 1, "repeated": 3, "repeated_across_parts": 1, "repeated_across_classes": 1,
    }  # fmt: skip
    assert pictures["smallest"][0] == {"image": f"{root}/test/dog/tiny.png", "width": 3, "height": 2}
    assert [(one["width"], one["height"]) for one in pictures["largest"]] == [(40, 40)] * 3
    assert len(pictures["smallest"]) == 3


def test_the_figure_is_a_picture(folder: Path) -> None:
    with Image.open(folder / "distribution.png") as figure:
        assert figure.width > 800
        colors = {color for _, color in figure.convert("RGB").getcolors(2**24)}
    assert {(0, 0x44, 0x88), (0xDD, 0xAA, 0x33), (0xBB, 0x55, 0x66)} <= colors


def test_without_opening_pictures(root: Path, settings_of: Callable[..., Settings], tmp_path: Path) -> None:
    inspection = inspect_data(settings_of(tmp_path / "run", f"data.root={root}"), pictures=False)
    assert (inspection.looks, inspection.groups, inspection.faults) == ([], [], [])
    assert write_inspection(inspection, tmp_path / "report") == ["distribution.png", "summary.json", "classes.csv"]
    assert "pictures" not in json.loads((tmp_path / "report" / "summary.json").read_text())


def test_a_data_set_without_duplicates_says_so_in_an_empty_table(
    settings_of: Callable[..., Settings], tmp_path: Path
) -> None:
    write_inspection(inspect_data(settings_of(tmp_path / "run")), tmp_path / "report")
    assert (
        tmp_path / "report" / "duplicates.csv"
    ).read_text() == "group,image,part,class,across_parts,across_classes\n"
