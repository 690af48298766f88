"""Labeled images for a trained run: folders, tables, lists and shards with classes that the run knows."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lptpp.config import DataSettings, Settings
from lptpp.data.dataset import Split
from lptpp.data.labeled import labeled_images, same_kind
from lptpp.utils.errors import UserError
from tests.drawn import png

NAMES = ["apple", "bear", "sea lion"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for number, name in enumerate(("apple/0.png", "apple/1.png", "sea_lion/a/2.png", "sea_lion/3.jpg")):
        path = tmp_path / "new" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(number))
    return tmp_path / "new"


def read(path: Path, names: list[str] = NAMES, **data: Any) -> Split:
    return labeled_images(path, names, Settings(data=DataSettings(**data)), path.parent / "skipped.csv")


def test_a_folder_of_class_folders(root):
    found = read(root)
    assert [str(image.relative_to(root)) for image in found.images] == [
        "apple/0.png", "apple/1.png", "sea_lion/3.jpg", "sea_lion/a/2.png"
    ]  # fmt: skip
    assert found.labels.tolist() == [0, 0, 2, 2]


def test_one_class_folders_of_splits_and_loose_files(root, caplog):
    shutil.rmtree(root / "apple")
    assert read(root).labels.tolist() == [2, 2]
    (root / "test").mkdir()
    (root / "sea_lion").rename(root / "test" / "sea_lion")
    (root / "Train" / "bear").mkdir(parents=True)
    (root / "Train" / "bear" / "9.png").write_bytes(png(9))
    (root / "loose.png").write_bytes(png(10))
    assert caplog.text == ""
    assert sorted(read(root).labels.tolist()) == [1, 2, 2]
    assert f"Ignored files in {root}: 1 outside of class folders (loose.png)" in caplog.text


def test_usual_names_of_splits_and_files_that_are_passed_over(root, caplog):
    for number, split in enumerate(("Training", "seg_test")):
        (root / split / "bear").mkdir(parents=True)
        (root / split / "bear" / "0.png").write_bytes(png(20 + number))
    (root / "apple" / "phone.cr2").touch()
    (root / "__MACOSX" / "apple").mkdir(parents=True)
    assert read(root).labels.tolist().count(1) == 2
    assert "1 .cr2" in caplog.text and "1 folder __MACOSX" in caplog.text


def test_the_table_of_class_names_of_the_run_names_folders(root, tmp_path):
    names = tmp_path / "names.csv"
    names.write_text("apple,red fruit\nsea_lion,seal\nx,whale\n")
    assert read(root, ["red fruit", "seal", "whale"], class_names=str(names)).labels.tolist() == [0, 0, 1, 1]
    names.unlink()
    with pytest.raises(UserError, match="does not have: apple, sea_lion"):
        read(root, ["red fruit", "seal", "whale"], class_names=str(names))


def test_a_class_may_be_called_test(root):
    (root / "apple").rename(root / "test")
    assert read(root, ["bear", "sea lion", "test"]).labels.tolist() == [1, 1, 2, 2]


def test_unknown_classes_are_named(root):
    for name in ("plum", "fig"):
        shutil.copytree(root / "apple", root / name)
    with pytest.raises(UserError, match=r"2 classes .* not have: fig, plum\. Rename .* apple, bear, sea lion"):
        read(root)
    (root / "fig").rename(root / "Bears")
    with pytest.raises(
        UserError, match=r"^--on: .* not have: Bears, plum\. Did you mean bear \(for 'Bears'\)\? Rename"
    ):
        read(root)


def test_nothing_and_other_files_are_refused(root, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "book.xlsx").touch()
    for path, message in (
        ("empty", "no labeled image"),
        ("book.xlsx", "an Excel workbook: export"),
        ("gone", "does not exist"),
    ):
        with pytest.raises(UserError, match=f"^--on: .*{path} .*{message}"):
            read(tmp_path / path)


def test_unreadable_images_stop_or_are_skipped(root, caplog):
    (root / "apple" / "0.png").write_bytes(b"no image")
    with pytest.raises(UserError, match=r"apple/0\.png"):
        read(root)
    assert len(read(root, on_error="skip")) == 3
    assert "apple/0.png" in (root.parent / "skipped.csv").read_text()
    skipped = f"Skipped 1 unreadable image, listed in {root.parent}/skipped.csv: {root}/apple/0.png"
    assert caplog.messages[-1] == skipped


TABLES = {
    "table.csv": "file,label,split\napple/0.png,apple,test\nsea_lion/3.jpg,sea lion,train\napple/1.png,apple,test\n",
    "table.tsv": "file\tlabel\napple/0.png\t0\nsea_lion/3.jpg\t2\napple/1.png\t0\n",
    "list.txt": "apple/0.png 0\nsea_lion/3.jpg 2\napple/1.png 0\n",
}


@pytest.mark.parametrize("name", TABLES)
def test_tables_and_lists_have_names_or_numbers_of_the_classes(name, root, tmp_path):
    (root / name).write_text(TABLES[name])
    found = read(root / name)
    assert found.labels.tolist() == [0, 2, 0]
    assert [image.name for image in found.images] == ["0.png", "3.jpg", "1.png"]
    (tmp_path / name).write_text(TABLES[name])
    assert read(tmp_path / name, root=str(root)).labels.tolist() == [0, 2, 0]


def test_a_table_of_one_class_and_its_columns(root):
    (root / "table.csv").write_text("file,label,species\napple/0.png,?,bear\n")
    assert read(root / "table.csv", label_column="species").labels.tolist() == [1]


@pytest.mark.parametrize(
    "name, old, new, message",
    [
        ("table.csv", "sea lion", "plum", "line 3 has the label 'plum'"),
        ("list.txt", " 2", " 3", "label 3, expected 0 to 2"),
    ],
)
def test_an_unknown_label_is_named(name, old, new, message, root):
    (root / name).write_text(TABLES[name].replace(old, new))
    with pytest.raises(UserError, match=f"^--on: .*{message}"):
        read(root / name)


def test_a_number_is_a_name_where_the_classes_are_numbers(root):
    (root / "table.csv").write_text("file,label\napple/0.png,10\napple/1.png,2\nsea_lion/3.jpg,10\n")
    assert read(root / "table.csv", ["1", "2", "10"]).labels.tolist() == [2, 1, 2]
    with pytest.raises(UserError, match="does not have: 10"):
        read(root / "table.csv", ["0", "1", "2"])


def test_parquet_and_shards(root, tmp_path):
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    rows = [{"image": png(0), "label": 10}, {"image": png(1), "label": 2}]
    parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "a.parquet")
    assert read(tmp_path / "a.parquet", ["1", "2", "10"]).labels.tolist() == [2, 1]  # not the classes 10 and 2 from 0
    assert np.array_equal(read(tmp_path / "a.parquet", [*"abcdefghijk"]).labels, [10, 2])


def test_columns_are_those_of_the_run_for_files_of_its_kind():
    assert same_kind(Path("a.tsv"), "parquet")
    assert same_kind(Path("a.tar"), "webdataset")
    assert not same_kind(Path("a.csv"), "webdataset")
    assert not same_kind(Path("folder"), "folder")
