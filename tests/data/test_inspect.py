import csv
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lptpp.config import Settings
from lptpp.console.data import write_inspection
from lptpp.data.dataset import EncodedImage, ImageDataset, ImageReference, Split
from lptpp.data.decode import Decoding
from lptpp.data.inspect import (
    InspectedImage,
    across_classes,
    across_splits,
    by_size,
    find_duplicates,
    inspect_data,
    inspect_images,
)
from lptpp.data.statistics import summary
from tests.conftest import COUNTS, TESTED


def picture(i: int, width: int = 6, height: int = 4) -> Image.Image:
    return Image.fromarray(np.random.default_rng(i).integers(0, 256, (height, width, 3), dtype=np.uint8))


def saved(path: Path, image: Image.Image, **options: object) -> Path:
    image.save(path, **options)  # type: ignore[arg-type]
    return path


def encoded(image: Image.Image, name: str) -> EncodedImage:
    file = io.BytesIO()
    image.save(file, "PNG")
    return EncodedImage(file.getvalue(), name)


def dataset_of(train: list[ImageReference], test: list[ImageReference]) -> ImageDataset:
    splits = [Split(images, np.arange(len(images)) % 2) for images in (train, test)]
    return ImageDataset(["a", "b"], splits[0], None, splits[1])


@pytest.fixture
def records(tmp_path: Path) -> list[InspectedImage]:
    """0 and 1 are duplicates in two formats, 3 (with EXIF) and 5 too; 4 is in memory, 2 is unreadable."""
    exif = Image.Exif()
    exif[0x010E] = "a description"
    train: list[ImageReference] = [saved(tmp_path / "0.png", picture(0)), saved(tmp_path / "1.bmp", picture(0))]
    train += [tmp_path / "2.png", saved(tmp_path / "3.png", picture(3), exif=exif), np.asarray(picture(4, 40, 30))]
    (tmp_path / "2.png").write_bytes(b"no")
    test: list[ImageReference] = [encoded(picture(3), "row 5"), encoded(picture(6, 2, 3), "row 6")]
    return inspect_images(dataset_of(train, test))


def test_every_image_has_a_record(records: list[InspectedImage], tmp_path: Path) -> None:
    assert [(one.image, one.split, one.label, one.width, one.height) for one in records] == [
        (str(tmp_path / "0.png"), "train", 0, 6, 4),
        (str(tmp_path / "1.bmp"), "train", 1, 6, 4),
        (str(tmp_path / "2.png"), "train", 0, 0, 0),
        (str(tmp_path / "3.png"), "train", 1, 6, 4),
        ("image 4", "train", 0, 40, 30),
        ("row 5", "test", 0, 6, 4),
        ("row 6", "test", 1, 2, 3),
    ]
    assert [one.problem for one in records] == [
        "cannot be read: not in a supported image format" if i == 2 else None for i in range(7)
    ]


def test_duplicates_are_found(records: list[InspectedImage]) -> None:
    groups = find_duplicates(records)
    assert [[records.index(one) for one in group] for group in groups] == [[0, 1], [3, 5]]
    assert [across_splits(group) for group in groups] == [False, True]
    assert [across_classes(group) for group in groups] == [True, True]


def test_equal_bytes_of_another_shape_are_no_duplicates() -> None:
    pixels = np.asarray(picture(0, 6, 4))
    images: list[ImageReference] = [pixels, pixels.reshape(6, 4, 3), pixels.copy()]
    groups = find_duplicates(inspect_images(dataset_of(images, [pixels[::-1].copy()])))
    assert [[one.image for one in group] for group in groups] == [["image 0", "image 2"]]


def test_one_pixel_makes_a_difference() -> None:
    pixels = np.asarray(picture(0)).copy()
    pixels[-1, -1, -1] ^= 1
    assert find_duplicates(inspect_images(dataset_of([np.asarray(picture(0)), pixels], []))) == []


def test_unreadable_images_are_no_duplicates(tmp_path: Path) -> None:
    images: list[ImageReference] = [EncodedImage(b"no", "1"), EncodedImage(b"no", "2"), np.asarray(picture(0))]
    records = inspect_images(dataset_of(images, []))
    assert find_duplicates(records) == []
    assert [one.image for one in by_size(records)] == ["image 2"]


def test_sizes_follow_the_exif_orientation_and_are_sorted(records: list[InspectedImage], tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = saved(tmp_path / "turned.jpg", picture(9, 8, 2), exif=exif)
    (record,) = inspect_images(ImageDataset(["a", "b"], Split([turned], np.array([0])), None, None))
    assert (record.width, record.height) == (2, 8)
    assert [found.width * found.height for found in by_size(records)] == [6, 24, 24, 24, 24, 1200]


def test_images_above_the_size_limit_have_a_problem_and_progress_is_reported() -> None:
    calls: list[int] = []
    whole = dataset_of([np.asarray(picture(0)), encoded(picture(1, 50, 50), "x")], [np.asarray(picture(2))])
    limit = Decoding(largest_megapixels=0.001)
    records = inspect_images(whole, limit, lambda done, total: calls.append(10 * done + total))
    assert [one.problem and one.problem.split(" (")[0] for one in records] == [
        None,
        "has 0.0 megapixels, more than 0.001",
        None,
    ]
    assert calls == [13, 23, 33]


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def root(pictures: Path, tmp_path: Path) -> Path:
    """The small data set with three kinds of duplicates, an unreadable and a tiny image."""
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
    files = write_inspection(inspection, tmp_path / "new" / "report", "data")
    assert {path.name for path in (tmp_path / "new" / "report").iterdir()} == set(files)
    return tmp_path / "new" / "report"


def test_rows_of_classes(folder: Path) -> None:
    train = COUNTS | {"apple": COUNTS["apple"] + 1, "car": COUNTS["car"] + 1}
    shots = {"apple": "many", "bear": "medium", "car": "medium", "dog": "few"}  # the thresholds are 2 and 6
    extra = {"apple": 1, "dog": 1}
    assert rows(folder / "classes.csv") == [
        {"class": name, "shot": shots[name], "train": str(train[name]), "test": str(TESTED + extra.get(name, 0))}
        for name in COUNTS
    ]


def test_rows_of_images(folder: Path, root: Path) -> None:
    found = {row.pop("image"): row for row in rows(folder / "images.csv")}
    assert len(found) == sum(COUNTS.values()) + 2 + 4 * TESTED + 2
    assert found[f"{root}/test/dog/tiny.png"] == {
        "split": "test", "class": "dog", "width": "3", "height": "2", "problem": "",
    }  # fmt: skip
    broken = found[f"{root}/train/bear/1.png"]
    assert (broken["width"], broken["height"]) == ("", "")
    assert broken["problem"] == "cannot be read: not in a supported image format"


def test_rows_of_duplicates(folder: Path, root: Path) -> None:
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
    assert found.pop("data") == "data"
    images = found.pop("image_check")
    assert (found["imbalance_factor"], found["classes"], found["images"]) == (9.0, 4, {"train": 19, "test": 14})
    counted = inspect_data(settings_of(tmp_path / "run", f"data.root={root}"), open_images=False)
    assert found == json.loads(json.dumps(summary(counted.dataset, (2, 6))))
    assert {key: value for key, value in images.items() if isinstance(value, int)} == {
        "unreadable": 1, "duplicates": 3, "duplicates_across_splits": 1, "duplicates_across_classes": 1,
    }  # fmt: skip
    assert images["smallest"][0] == {"image": f"{root}/test/dog/tiny.png", "width": 3, "height": 2}
    assert [(one["width"], one["height"]) for one in images["largest"]] == [(40, 40)] * 3
    assert len(images["smallest"]) == 3


def test_the_figure(folder: Path) -> None:
    with Image.open(folder / "distribution.png") as figure:
        assert figure.width > 800
        colors = {color for _, color in figure.convert("RGB").getcolors(2**24)}
    assert {(0, 0x44, 0x88), (0xDD, 0xAA, 0x33), (0xBB, 0x55, 0x66)} <= colors


def test_without_opening_images(root: Path, settings_of: Callable[..., Settings], tmp_path: Path) -> None:
    inspection = inspect_data(settings_of(tmp_path / "run", f"data.root={root}"), open_images=False)
    assert (inspection.records, inspection.groups, inspection.unreadable) == ([], [], [])
    written = write_inspection(inspection, tmp_path / "report", "data")
    assert written == ["distribution.png", "summary.json", "classes.csv", "data_warnings.csv"]
    assert "image_check" not in json.loads((tmp_path / "report" / "summary.json").read_text())


def test_without_duplicates_the_table_has_only_a_header(settings_of: Callable[..., Settings], tmp_path: Path) -> None:
    write_inspection(inspect_data(settings_of(tmp_path / "run")), tmp_path / "report", "data")
    assert (
        tmp_path / "report" / "duplicates.csv"
    ).read_text() == "group,image,split,class,across_splits,across_classes\n"
