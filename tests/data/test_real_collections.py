"""Collections as people have them: every kind is read as it is meant, or refused or warned of by name."""

import io
import json
import struct
import tarfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import pytest
from PIL import Image

from lptpp.config import DataSettings, Settings, load_settings
from lptpp.config.paths import check_data_paths
from lptpp.console.data import write_inspection
from lptpp.data.dataset import ImageDataset, Note
from lptpp.data.decode import LIMITED, decode, unreadable_reason
from lptpp.data.inspect import inspect_data
from lptpp.data.prepare import check_dataset
from lptpp.data.sources import read_source
from lptpp.data.warnings import DataWarning, data_warnings, write_warnings
from lptpp.evaluation.run import evaluate_run
from lptpp.prediction.options import PredictOptions
from lptpp.prediction.predict import predict_paths
from lptpp.training.fit import fit
from lptpp.utils.errors import UserError
from lptpp.utils.io import read_csv
from lptpp.utils.paths import PACKAGES, natural_key, refuse_no_input
from tests.drawn import png

ISIC = ["MEL", "NV", "BCC"]


def draw(*paths: Path) -> None:
    """Write images, no two alike."""
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(crc32(str(path).encode())))


def classes(root: Path, counts: dict[str, int]) -> None:
    draw(*(root / name / f"{i}.png" for name, count in counts.items() for i in range(count)))


def read(source: str, **changes: Any) -> ImageDataset:
    arguments = asdict(DataSettings(source=source, **changes))
    return read_source(arguments.pop("source"), arguments.pop("validation"), **arguments)


def folder(root: Path, **changes: Any) -> ImageDataset:
    return read("folder", root=str(root), **changes)


def csv(path: Path, *lines: str, **changes: Any) -> ImageDataset:
    path.write_text("\n".join(lines) + "\n")
    return read("csv", train_list=str(path), **changes)


def counts(dataset: ImageDataset) -> dict[str, list[int]]:
    return {name: split.counts(len(dataset.class_names)).tolist() for name, split in dataset.splits().items()}


def warned(dataset: ImageDataset) -> dict[str, str]:
    return {warning.kind: str(warning) for warning in data_warnings(dataset)}


def refused(make: Callable[[], object]) -> str:
    with pytest.raises(UserError) as error:
        make()
    return str(error.value)


# Folders


PARTS = {
    "brain tumors": ["Training", "Testing"],
    "fruits": ["Training", "Test"],
    "mixed": ["train", "Testing"],
    "dev": ["train", "dev"],
    "eval": ["train", "eval"],
    "three": ["Train", "Valid", "Tests"],
    "scenes": ["seg_train", "seg_test"],
    "suffixes": ["train_images", "test_images"],
    "one suffix": ["train", "test_images"],
    "years": ["train2017", "val2017"],
    "camel": ["ImagesTrain", "ImagesVal"],
    "words": ["Training Data", "Testing Data"],
    "imagenet": ["ILSVRC2012_img_train", "ILSVRC2012_img_val"],
}


@pytest.mark.parametrize("name", PARTS)
def test_folders_of_splits_by_any_usual_name(name: str, tmp_path: Path) -> None:
    for part in PARTS[name]:
        classes(tmp_path / part, {"apple": 4, "pear": 4})
    found = folder(tmp_path, test=0.0)
    assert found.class_names == ["apple", "pear"]
    assert list(counts(found).values()) == [[4, 4]] * len(PARTS[name])
    assert warned(found) == {}


@pytest.mark.parametrize("parts", [["train", "val", "valid"], ["train", "eval", "test"], ["Train", "training"]])
def test_two_folders_for_one_split_are_refused(parts: list[str], tmp_path: Path) -> None:
    for part in parts:
        classes(tmp_path / part, {"apple": 1, "pear": 1})
    message = refused(lambda: folder(tmp_path))
    twins = [part for part in parts if str(tmp_path / part) in message.split("(")[1]]
    assert twins == parts[-2:]


@pytest.mark.parametrize("parts", [["train", "test"], ["train_images", "test_images"]])
def test_flat_folders_of_splits_are_no_classes(parts: list[str], tmp_path: Path) -> None:
    draw(*(tmp_path / part / f"photo of a train {i}.jpg" for part in parts for i in range(3)))
    assert "has no class folders" in refused(lambda: folder(tmp_path))


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    classes(tmp_path, {"train": 4, "bus": 4, "test_tube": 4, "train_station": 4})
    assert folder(tmp_path).class_names == ["bus", "test_tube", "train", "train_station"]


def test_folders_of_the_same_subfolders_are_asked_about(tmp_path: Path) -> None:
    for part in ("learn", "check"):
        classes(tmp_path / part, {"apple": 2, "pear": 2, "plum": 2})
    draw(tmp_path / "check" / "fig" / "0.png")
    message = refused(lambda: folder(tmp_path))
    words = ("check, learn", "apple, pear, plum", "call them train, val", "data.split_folders=none")
    assert all(word in message for word in words)
    assert folder(tmp_path, split_folders="none").class_names == ["check", "learn"]


def test_folders_beside_train_are_named(tmp_path: Path) -> None:
    classes(tmp_path, {"apple": 4, "plum": 1})
    classes(tmp_path / "train", {"apple": 2, "pear": 2})
    assert warned(folder(tmp_path, test=0.0)) == {
        "not_read": f"Folders that are not read (2): {tmp_path}/apple (4 images), {tmp_path}/plum (1 images)"
    }


def test_leftovers_of_operating_systems(tmp_path: Path) -> None:
    classes(tmp_path / "inner", {"oak": 3, "elm": 3})
    for name in ("oak", "elm"):
        draw(tmp_path / "__MACOSX" / "inner" / name / "._0.png")
    assert f"set data.root={tmp_path}/inner" in refused(lambda: folder(tmp_path))
    draw(tmp_path / "inner" / "oak" / ".ipynb_checkpoints" / "0-checkpoint.png")
    draw(tmp_path / "inner" / ".ipynb_checkpoints" / "0-checkpoint.png")
    for name in ("._0.png", ".DS_Store", "Thumbs.db", "desktop.ini"):
        (tmp_path / "inner" / "oak" / name).write_bytes(b"x")
    found = folder(tmp_path / "inner")
    assert sum(map(len, found.splits().values())) == 6
    assert warned(found)["passed_over"] == (
        f"Ignored files in {tmp_path}/inner: 2 hidden folders, 1 hidden"
        " (.ipynb_checkpoints, oak/._0.png, oak/.ipynb_checkpoints)"
    )


def test_files_that_are_passed_over_are_counted_by_kind(tmp_path: Path) -> None:
    classes(tmp_path / "d", {"oak": 6, "elm": 6})
    names = [*(f"oak/IMG_{i}.CR2" for i in range(20)), "elm/a.jpg_large", "elm/b.jpg!d", "elm/d", "readme.md"]
    for name in names:
        (tmp_path / "d" / name).write_bytes(b"x")
    draw(tmp_path / "d" / "loose.png")
    for i in range(3):
        (tmp_path / "d" / "elm" / f"lost {i}.jpg").symlink_to("/nowhere/lost.jpg")
    line = warned(folder(tmp_path / "d"))["passed_over"]
    assert line.endswith(" (elm/a.jpg_large, elm/b.jpg!d, elm/d and 25 more)")
    kinds = ["20 .cr2", "3 broken links", "1 .jpg_large", "1 .jpg!d", "1 without a suffix", "1 .md"]
    assert all(kind in line for kind in [*kinds, "1 outside of class folders"])


def test_links(tmp_path: Path) -> None:
    classes(tmp_path / "store", {"oak": 6, "elm": 4, "more": 5, "ash": 3})
    root = tmp_path / "d"
    root.mkdir()
    (root / "oak").symlink_to(tmp_path / "store" / "oak")
    (root / "elm").symlink_to("../store/elm")
    draw(root / "ash" / "own.png")
    (root / "ash" / "2021").symlink_to(tmp_path / "store" / "more")
    (root / "ash" / "up").symlink_to(root)
    for i in range(3):
        (root / "ash" / f"{i}.png").symlink_to(tmp_path / "store" / "ash" / f"{i}.png")
    found = folder(root, test=0.0)
    assert dict(zip(found.class_names, found.counts().tolist(), strict=True)) == {"ash": 4, "elm": 4, "oak": 6}
    assert "behind a linked folder" in warned(found)["passed_over"]


def test_classes_of_only_some_splits_are_named(tmp_path: Path) -> None:
    classes(tmp_path / "train", {"0": 6, "90": 6, "180": 6})
    classes(tmp_path / "test", {"0": 3, "180": 3, "360": 1})
    found = folder(tmp_path)
    assert found.class_names == ["0", "90", "180", "360"]
    assert counts(found) == {"train": [6, 6, 6, 0], "test": [3, 0, 3, 1]}
    assert warned(found)["without_training"].endswith("(1): 360")
    assert warned(found)["without_test"].endswith("(1): 90")


def test_classes_of_one_image(tmp_path: Path) -> None:
    classes(tmp_path / "a", {"oak": 12, "elm": 5, "yew": 1})
    found = folder(tmp_path / "a", validation=0.2)
    assert counts(found)["train"][-1] == 1
    assert warned(found)["without_test"].endswith("(1): yew")
    classes(tmp_path / "b", {"oak": 1, "elm": 1})
    found = folder(tmp_path / "b")
    assert "every class has one image" in warned(found)["no_test_split"]
    message = refused(lambda: check_dataset(found, Settings(), tmp_path / "skipped.csv"))
    assert "every class has only one training image" in message and "data.test" not in message


def test_the_advice_for_small_classes_works(tmp_path: Path) -> None:
    classes(tmp_path, {"oak": 2, "elm": 2})
    found = folder(tmp_path)
    assert found.test is None
    assert "data.test=0.3" in refused(lambda: check_dataset(found, Settings(), tmp_path / "skipped.csv"))
    assert counts(folder(tmp_path, test=0.3))["test"] == [1, 1]


def test_names_with_numbers_are_in_natural_order(tmp_path: Path) -> None:
    classes(tmp_path, {f"class {i}": 2 for i in (10, 2, 1, 9)})
    assert folder(tmp_path).class_names == ["class 1", "class 2", "class 9", "class 10"]


@pytest.mark.parametrize("twin", ["oak ", "0ak", "oak\u200b", "oak  2"])
def test_names_that_look_alike(twin: str, tmp_path: Path) -> None:
    name = {"0ak": "00ak", "oak  2": "oak 2"}.get(twin, "oak")
    classes(tmp_path / "a", {name: 2, twin: 2, "elm": 2})
    assert f"{min(name, twin)!r}" in warned(folder(tmp_path / "a"))["similar_names"]
    classes(tmp_path / "b" / "train", {twin: 4, "elm": 4})
    classes(tmp_path / "b" / "test", {name: 2, "elm": 2})
    assert f"{name!r} and {twin!r}" in refused(lambda: folder(tmp_path / "b"))


def test_class_names_for_folders(tmp_path: Path) -> None:
    classes(tmp_path / "d", {"001.Black_footed_Albatross": 5, "002.Laysan_Albatross": 4, "003.n01440764": 4})
    new = ["black-footed albatross", "laysan albatross", "tench, Tinca tinca"]
    (tmp_path / "names.txt").write_text("\n".join(new))
    assert folder(tmp_path / "d", class_names=str(tmp_path / "names.txt")).class_names == new
    rows = [
        "folder,name",
        f'003.n01440764,"{new[2]}"',
        f"001.Black_footed_Albatross,{new[0]}",
        f"002.Laysan_Albatross,{new[1]}",
    ]
    (tmp_path / "names.csv").write_text("\n".join([*rows, "n9,unused"]))
    assert folder(tmp_path / "d", class_names=str(tmp_path / "names.csv")).class_names == new
    (tmp_path / "names.csv").write_text("\n".join(rows[:3]))
    assert "no name for 002.Laysan" in refused(lambda: folder(tmp_path / "d", class_names=str(tmp_path / "names.csv")))
    (tmp_path / "names.txt").write_text("one\ntwo\n")
    assert "has 2 names, expected 3" in refused(lambda: folder(tmp_path / "d", class_names=str(tmp_path / "names.txt")))
    assert "missing.txt does not exist" in refused(lambda: folder(tmp_path / "d", class_names="missing.txt"))


def test_class_names_for_every_source(tmp_path: Path) -> None:
    names = tmp_path / "names.csv"
    draw(*(tmp_path / f"{i}.png" for i in range(4)))
    names.write_text("label,name\n0,oak\n1,elm\n")
    lines = [f"{i}.png,{i % 2}" for i in range(4)]
    assert csv(tmp_path / "t.csv", "path,label", *lines, class_names=str(names)).class_names == ["oak", "elm"]
    (tmp_path / "l.txt").write_text("\n".join(f"{i}.png {i % 2}" for i in range(4)))
    found = read("list", root=str(tmp_path), train_list="l.txt", class_names="names.csv")
    assert found.class_names == ["oak", "elm"]
    emoji = read("emoji")
    names.write_text("".join(f"{i},new {name}\n" for i, name in enumerate(emoji.class_names)))
    assert read("emoji", class_names=str(names)).class_names == [f"new {name}" for name in emoji.class_names]


@pytest.mark.parametrize(
    ("name", "coded"),
    [
        ("001.Black_footed_Albatross", True),
        ("n01440764", True),
        ("90", True),
        ("class 0", True),
        ("oak", False),
        ("Boeing 747", False),
        ("nightingale", False),
    ],
)
def test_names_that_a_text_tower_does_not_understand(name: str, coded: bool, tmp_path: Path) -> None:
    classes(tmp_path, {name: 2, "elm": 2})
    found = folder(tmp_path)
    assert "coded_names" not in warned(found)
    kinds = {warning.kind: str(warning) for warning in data_warnings(found, reads_names=True)}
    assert kinds.get("coded_names", "").endswith(f"(1): {name}") == coded
    assert ("coded_names" in kinds) == coded


def test_an_image_folder_of_hugging_face_is_named(tmp_path: Path) -> None:
    draw(tmp_path / "train" / "0.jpg")
    (tmp_path / "train" / "metadata.jsonl").touch()
    message = refused(lambda: folder(tmp_path))
    assert f"{tmp_path}/train/metadata.jsonl has the labels, set data.source=huggingface" in message


def test_lines_about_images_name_their_folder_once(tmp_path: Path) -> None:
    draw(tmp_path / "a.png")
    packages = Path(PACKAGES) / "pictures"
    note = Note("equal_files", f"{packages}/1/a.png = {packages}/2/b.png", "train: oak, train: oak")
    assert str(DataWarning("equal_files", [note])).endswith(
        "(1, in pictures): 1/a.png = 2/b.png (train: oak, train: oak)"
    )
    apart = Note("equal_files", "a.png = other/b.png")
    assert str(DataWarning("equal_files", [apart])).endswith("(1): a.png = other/b.png")


# Tables


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Nine images img/0.jpg to img/8.jpg."""
    draw(*(tmp_path / "img" / f"{i}.jpg" for i in range(9)))
    return tmp_path


def rows(mark: str = ",", name: Callable[[int], str] = "img/{}.jpg".format, more: str = "") -> list[str]:
    return [f"{name(i)}{mark}{'oak' if i < 5 else 'elm'}{more}" for i in range(9)]


def is_read(found: ImageDataset) -> bool:
    whole = [image for split in found.splits().values() for image in split.images]
    return found.class_names == ["elm", "oak"] and sorted(path.name for path in whole) == [f"{i}.jpg" for i in range(9)]


def test_ids_without_a_suffix(images: Path) -> None:
    lines = ["id,label", *rows(name=str)]
    assert is_read(csv(images / "t.csv", *lines, root=str(images / "img")))
    draw(images / "img" / "4.png")
    message = refused(lambda: csv(images / "t.csv", *lines, root=str(images / "img")))
    assert "t.csv line 6" in message and "4.jpg or 4.png" in message


def test_one_hot_columns(images: Path) -> None:
    header = f"image,{','.join(ISIC)}"
    lines = [f"img/{i}.jpg," + ",".join("1.0" if j == i % 3 else "0.0" for j in range(3)) for i in range(9)]
    table = images / "t.csv"
    assert "data.label_columns=[MEL,NV,BCC]" in refused(lambda: csv(table, header, *lines))
    found = csv(table, header, *lines, label_columns=ISIC, test=0.0)
    assert (found.class_names, found.train.labels.tolist()) == (ISIC, [0, 1, 2] * 3)
    message = refused(lambda: csv(table, header, *lines[:-1], "img/8.jpg,1,0,1", label_columns=ISIC))
    assert "line 10 has MEL=1, BCC=1" in message
    assert "only 0" in refused(lambda: csv(table, header, *lines, label_columns=ISIC[:2]))
    assert csv(table, header, *lines, label_column="MEL").class_names == ["0", "1"]
    assert "did you mean NV" in refused(lambda: csv(table, header, *lines, label_columns=["MEL", "NVV"]))


@pytest.mark.parametrize(
    "lines",
    [
        ["path;label;", *rows(";", more=";")[:4], ";;", *rows(";", more=";")[4:], ";;", " ; ;"],
        ["sep=;", "path;label", *rows(";")],
        ['"sep=\t"', "path\tlabel", *rows("\t")],
        ["path,label", *rows(name="img\\{}.jpg".format)],
        ["path,label,notes", *rows(more=",\u00e9")],
    ],
    ids=["empty rows", "sep=;", "sep=tab", "backslashes", "more columns"],
)
def test_tables_as_spreadsheets_write_them(lines: list[str], images: Path) -> None:
    assert is_read(csv(images / "t.csv", *lines))


def test_files_that_are_no_csv_are_named_as_what_they_are(images: Path) -> None:
    text = "\n".join(["path,label", *rows()])
    wrong = {
        "is encoded as UTF-16": text.encode("utf-16"),
        "is an Excel workbook": b"PK\x03\x04" + bytes(30),
        "is not UTF-8 text": text.replace("oak", "ch\u00eane").encode("latin-1"),
        "looks like a title": b"Trees of 2021\n" + text.encode(),
        "'Trees', one value above": ("Trees;;\npath;label;x\n" + "\n".join(rows(";", more=";1"))).encode(),
    }
    for words, content in wrong.items():
        (images / "t.csv").write_bytes(content)
        assert words in refused(lambda: read("csv", train_list=str(images / "t.csv")))


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("t.xlsx", "an Excel workbook"),
        ("t.XLS", "an Excel workbook"),
        ("t.ods", "a LibreOffice spreadsheet"),
        ("t.gsheet", "a link to a Google sheet"),
        ("https://docs.google.com/spreadsheets/d/1/edit", "a Google sheet"),
        ("https://example.org/t.csv", "a URL: download it"),
        ("s3://bucket/images", "a URL: download it"),
    ],
)
def test_spreadsheets_and_urls_are_named_wherever_they_stand(name: str, what: str, images: Path) -> None:
    (images / "t.XLS").touch()
    asked = [
        lambda: load_settings(name),
        lambda: check_data_paths(DataSettings(source="csv", train_list=name)),
        lambda: check_data_paths(DataSettings(source="list", train_list=name)),
        lambda: check_data_paths(DataSettings(source="folder", root=name)),
        lambda: refuse_no_input(Path(name)),
        lambda: csv(images / "a.csv", "path,label", *rows(), class_names=name),
    ]
    for ask in asked:
        message = refused(ask)
        assert what in message and ("export the sheet as CSV" in message or "download it" in message)


def test_urls_are_named(images: Path) -> None:
    lines = ["path,label", *rows(), "https://example.org/x.jpg,oak"]
    assert "line 11 has the URL https://example.org/x.jpg" in refused(lambda: csv(images / "t.csv", *lines))


@pytest.mark.parametrize("column", ["split", "part", "Set", "subset", "fold", "partition"])
def test_split_columns(column: str, images: Path) -> None:
    lines = [f"{row},{['training', 'dev', 'Test'][i % 3]}" for i, row in enumerate(rows())]
    assert counts(csv(images / "t.csv", f"path,label,{column}", *lines)).keys() == {"train", "validation", "test"}
    assert "holdout" in refused(lambda: csv(images / "t.csv", f"path,label,{column}", *lines, "img/1.jpg,oak,holdout"))


def test_a_column_of_folds_is_named(images: Path) -> None:
    found = csv(images / "t.csv", "path,label,fold", *(f"{row},{i % 5}" for i, row in enumerate(rows())), test=0.0)
    assert counts(found).keys() == {"train"}
    assert warned(found) == {"column_not_read": "Columns that are not read (1): fold (first value 0)"}


def test_missing_labels(images: Path) -> None:
    lines = [f"img/{i}.jpg,{['oak', 'elm', ''][i % 3]}" for i in range(9)]
    assert "line 4 has no label" in refused(lambda: csv(images / "t.csv", "path,label", *lines))
    for name in ("NaN", "NA", "None"):
        named = [line + name if line.endswith(",") else line for line in lines]
        assert warned(csv(images / "t.csv", "path,label", *named))["no_label"].endswith(f"(1): {name}")


def test_a_null_in_a_parquet_table_is_no_label(images: Path) -> None:
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    rows = [{"path": f"img/{i}.jpg", "label": ["oak", "elm", None][i % 3]} for i in range(9)]
    parquet.write_table(pyarrow.Table.from_pylist(rows), images / "t.parquet")
    assert "row 2 has no label" in refused(lambda: read("parquet", train_list=str(images / "t.parquet")))


def test_settings_of_another_source_are_refused(images: Path) -> None:
    message = refused(lambda: load_settings("folder", [f"data.root={images}", "data.train_list=t.csv"]))
    assert "data.train_list=t.csv is not a setting of data.source=folder" in message
    assert "did you mean data.source=csv?" in message


def test_repeated_rows(images: Path) -> None:
    repeated = [*rows()[:3], "./img/0.jpg,oak"]
    line = warned(csv(images / "t.csv", "path,label", *rows(), *repeated, test=0.0))["listed_twice"]
    assert f"(3, in {images}/img): " in line and "0.jpg (train: oak, train: oak, train: oak)" in line
    split = [f"{row},train" for row in rows()] + ["img/0.jpg,oak,test", "img/8.jpg,oak,train"]
    found = warned(csv(images / "t.csv", "path,label,split", *split))
    assert "0.jpg (train: oak, test: oak)" in found["listed_across_splits"]
    assert "8.jpg (train: elm, train: oak)" in found["listed_across_classes"]


def test_equal_files(tmp_path: Path) -> None:
    classes(tmp_path / "train", {"oak": 3, "elm": 3})
    classes(tmp_path / "test", {"oak": 1, "elm": 1})
    for name in ("train/oak/copy.png", "test/elm/copy.png"):
        (tmp_path / name).write_bytes((tmp_path / "train" / "oak" / "0.png").read_bytes())
    found = warned(folder(tmp_path))
    assert "(train: oak, train: oak, test: elm)" in found["equal_across_splits"]
    assert found["equal_across_classes"].count("copy.png") == 2


def test_leading_zeros_lost_in_one_table(images: Path) -> None:
    (images / "test.csv").write_text("path,label\n" + "".join(f"img/{i}.jpg,{i % 3}\n" for i in range(6, 9)))
    lines = [f"img/{i}.jpg,{i % 3:03}" for i in range(6)]
    message = refused(lambda: csv(images / "train.csv", "path,label", *lines, test_list=str(images / "test.csv")))
    assert message.startswith("3 classes without a training image differ ") and "'0' and '000'" in message


def test_json_lines_are_named(images: Path) -> None:
    lines = [json.dumps({"file_name": f"{i}.jpg", "label": ["oak", "elm"][i % 2]}) for i in range(9)]
    (images / "img" / "metadata.jsonl").write_text("\n".join(lines))
    message = refused(lambda: read("csv", train_list=str(images / "img" / "metadata.jsonl")))
    assert "is JSON" in message and f"data.source=huggingface data.root={images}/img" in message


# Lists and shards


LINES = {
    "comma": ("img/{i}.jpg,{label}", "data.source=csv"),
    "label first": ("{label} img/{i}.jpg", "the label first"),
    "names": ("img/{i}.jpg {name}", "data.source=csv"),
    "fractions": ("img/{i}.jpg {label}.0", "labels are whole numbers"),
    "three fields": (
        "img/{i}.jpg {label} 1",
        "img/0.jpg 0 and 8 more): correct data.root or the paths; 0 was read",
    ),
    "absolute": ("/img/{i}.jpg {label}", "/img/0.jpg"),
}


@pytest.mark.parametrize("kind", LINES)
def test_lists_of_another_layout(kind: str, images: Path) -> None:
    line, words = LINES[kind]
    lines = [line.format(i=i, label=i % 3, name=["oak", "elm", "ash"][i % 3]) for i in range(9)]
    (images / "l.txt").write_text("\n".join(lines))
    message = refused(lambda: read("list", root=str(images), train_list="l.txt"))
    assert words in message and "line 1" in message


def test_lists_with_tabs_or_labels_from_one(images: Path) -> None:
    (images / "l.txt").write_text("\n".join(f"img/{i}.jpg\t{i % 3 + 1}" for i in range(9)))
    found = read("list", root=str(images), train_list="l.txt")
    assert warned(found)["without_training"].endswith("(1): class 0")
    (images / "names.txt").write_bytes("\ufeffoak\r\nelm\r\nash\r\n".encode())
    message = refused(lambda: read("list", root=str(images), train_list="l.txt", class_names="names.txt"))
    assert "label 3, expected 0 to 2" in message


def shard(path: Path, members: Sequence[tuple[str, bytes]]) -> ImageDataset:
    with tarfile.open(path, "w") as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return read("webdataset", root=str(path.parent), train_list=path.name, test=0.0)


def test_dots_in_the_names_of_samples(tmp_path: Path) -> None:
    dots = [(f"v1.0/22.{i:02}.{kind}", png(i) if kind == "png" else b"1") for i in range(6) for kind in ("png", "cls")]
    assert "first dot" in refused(lambda: shard(tmp_path / "a.tar", dots))
    good = [(f"./v1.0/{i}.PNG", png(i)) for i in range(6)] + [(f"./v1.0/{i}.cls", b"%d\n" % (i % 2)) for i in range(6)]
    assert len(shard(tmp_path / "b.tar", [*good, *((f"./v1.0/._{i}.PNG", b"x") for i in range(6))]).train) == 6
    folders = [(f"{name}/{i}.png", png(i)) for name in ("oak", "elm") for i in range(3)]
    assert "expected a label" in refused(lambda: shard(tmp_path / "c.tar", folders))


def test_image_folders_as_hugging_face_reads_them(tmp_path: Path) -> None:
    pytest.importorskip("datasets")
    draw(*(tmp_path / "flat" / part / f"photo of a train {i}.png" for part in ("train", "test") for i in range(3)))
    assert "label" in refused(lambda: read("huggingface", root=str(tmp_path / "flat")))


# Photographs


def turned(**options: Any) -> tuple[Image.Image, dict[str, Any]]:
    """Return an image on its side and the options to save it: upright, it is 40 × 20 and red on the left."""
    upright = Image.new("RGB", (40, 20), "white")
    upright.paste((255, 0, 0), (0, 0, 20, 20))
    return upright.transpose(Image.Transpose.ROTATE_90), options


def exif(orientation: int = 6, **more: Any) -> Image.Exif:
    found = Image.Exif()
    found[0x0112] = orientation
    for key, value in more.items():
        found[int(key[1:], 16)] = value
    return found


NO_PLACE = {1: "", 2: (0, 0, 0), 3: "", 4: (0, 0, 0)}  # GPS of a phone without reception
ON_THEIR_SIDE = {
    "plain.jpg": {"exif": exif().tobytes(), "quality": 95},
    "twice.jpg": {"exif": b"Exif\0\0" + exif().tobytes(), "quality": 95},
    "gps.jpg": {"exif": exif(x8825=NO_PLACE), "quality": 95},
    "a.png": {"exif": exif().tobytes()},
    "a.webp": {"exif": exif().tobytes(), "lossless": True},
    "a.tif": {"tiffinfo": {0x0112: 6}},
    "lzw.tif": {"tiffinfo": {0x0112: 6}, "compression": "tiff_lzw"},
    "two.mpo": {"exif": exif().tobytes(), "quality": 95, "save_all": True},
}


@pytest.mark.parametrize("name", ON_THEIR_SIDE)
def test_photographs_on_their_side_are_turned_once(name: str, tmp_path: Path) -> None:
    image, options = turned(**ON_THEIR_SIDE[name])
    image.save(tmp_path / name, **options)
    if name == "plain.jpg":  # a motion photo: a video follows the image
        (tmp_path / name).write_bytes((tmp_path / name).read_bytes() + bytes(5000) + b"ftypmp42")
    seen = np.asarray(decode(tmp_path / name)).astype(int)
    assert seen.shape == (20, 40, 3)
    assert seen[10, 5, 1] < 60 and seen[10, 35, 1] > 200


@pytest.mark.parametrize("orientation", [0, 9])
def test_an_orientation_that_does_not_exist_turns_nothing(orientation: int, tmp_path: Path) -> None:
    Image.new("RGB", (40, 20)).save(tmp_path / "a.jpg", exif=exif(orientation).tobytes())
    assert decode(tmp_path / "a.jpg").size == (40, 20)


def with_chunk(kind: bytes, times: int = 1) -> bytes:
    """Return a PNG with chunks of three megabytes, compressed."""
    body = b"big\0\0" + zlib.compress(bytes(3_000_000))
    chunk = struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    return png(0)[:33] + chunk * times + png(0)[33:]


FILES: dict[str, tuple[Callable[[], bytes], str | None]] = {  # content, and why it is unreadable
    "text.png": (lambda: with_chunk(b"zTXt"), None),
    "many texts.png": (lambda: with_chunk(b"zTXt", 30), None),
    "profile.png": (lambda: with_chunk(b"iCCP"), None),
    "a png.jpg": (lambda: png(0), None),
    "page.jpg": (lambda: b"<html>404</html>", "not in a supported image format"),
    "vector.png": (lambda: b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not in a supported image format"),
    "short.png": (lambda: png(0)[:60], "cannot be read"),
    "nothing.png": (lambda: b"", "empty"),
}


@pytest.mark.parametrize("name", FILES)
def test_files_as_browsers_and_downloads_leave_them(name: str, tmp_path: Path) -> None:
    content, problem = FILES[name]
    (tmp_path / name).write_bytes(content())
    found = unreadable_reason(tmp_path / name, LIMITED)
    assert (found is None) == (problem is None)
    assert problem is None or problem in str(found)


@pytest.mark.parametrize("size", [(1, 1), (3, 2), (1, 90), (1, 400), (400, 1), (1, 60_000)])
def test_thin_images_are_read_or_named(size: tuple[int, int], tmp_path: Path) -> None:
    Image.new("RGB", size).save(tmp_path / "a.png")
    found = unreadable_reason(tmp_path / "a.png", LIMITED)
    assert (found is None) == (max(size) < 100)
    assert found is None or found.endswith("an aspect ratio above 100")


RAMPS = {
    "twelve bits.tif": np.linspace(0, 4095, 1600).astype(np.uint16),
    "sixteen bits.png": np.linspace(0, 65_535, 1600).astype(np.uint16),
    "integers of 8 bits.tif": np.linspace(0, 255, 1600).astype(np.int32),
    "fractions.tif": np.linspace(0, 1, 1600).astype(np.float32),
    "floats of 16 bits.tif": np.linspace(0, 65_535, 1600).astype(np.float32),
}


@pytest.mark.parametrize("name", RAMPS)
def test_no_depth_is_black_or_white(name: str, tmp_path: Path) -> None:
    Image.fromarray(RAMPS[name].reshape(40, 40)).save(tmp_path / name)
    seen = np.asarray(decode(tmp_path / name))
    assert (seen.min(), seen.max()) == (0, 255) and 120 < np.median(seen) < 136


# Roots


@pytest.mark.parametrize("source", ["folder", "list", "csv", "webdataset", "inat2018"])
def test_a_missing_root_is_never_the_working_folder(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    classes(tmp_path, {"oak": 2, "elm": 2})
    (tmp_path / "train.txt").write_text("oak/0.png 0\nelm/0.png 1\n")
    monkeypatch.chdir(tmp_path)
    assert "the folder gone does not exist" in refused(lambda: read(source, root="gone", train_list="train.txt"))


def test_names_from_latin_1_archives_are_shown(tmp_path: Path) -> None:
    classes(tmp_path, {"oak": 2, "elm": 2})
    name = b"caf\xe9.cr2".decode("utf-8", "surrogateescape")
    try:
        (tmp_path / "oak" / name).write_bytes(b"x")
    except (OSError, UnicodeError):
        pytest.skip("the file system has Unicode names only")
    warnings = data_warnings(folder(tmp_path))
    assert write_warnings(tmp_path / "report" / "warnings.csv", warnings)
    assert "caf\ufffd.cr2" in (tmp_path / "report" / "warnings.csv").read_text(encoding="utf-8")


# A run


def test_a_folder_that_changed_after_training_is_not_evaluated(
    settings_of: Callable[..., Settings], tmp_path: Path
) -> None:
    classes(tmp_path / "d", {"oak": 15, "elm": 10})
    quick = ["method=linear_probe", "phase1.epochs=1", "evaluation.baselines=[]", f"data.root={tmp_path}/d"]
    settings = settings_of(tmp_path / "run", *quick, "data.test=0.2")
    fit(settings)
    before = (tmp_path / "run" / "predictions.csv").read_bytes()
    draw(tmp_path / "d" / "oak" / "000.png")
    added = refused(lambda: evaluate_run(tmp_path / "run"))
    assert "1 added: oak/000.png" in added and f"lptpp evaluate {tmp_path}/run --on FOLDER" in added
    assert "1 added: oak/000.png" in refused(lambda: fit(settings))
    (tmp_path / "d" / "oak" / "000.png").unlink()
    (tmp_path / "d" / "oak" / "3.png").rename(tmp_path / "d" / "oak" / "z3.png")
    assert "1 added: oak/z3.png; 1 missing: oak/3.png" in refused(lambda: evaluate_run(tmp_path / "run"))
    assert (tmp_path / "run" / "predictions.csv").read_bytes() == before


NAMES = ["-x.jpg", "[1].jpg", "a,b.jpg", 'q"q.jpg', "na\u00efve \U0001f431.jpg", "=1+1.jpg", " lead.jpg", "x%20y.jpg"]


def test_predictions_of_files_with_odd_names(trained: Any, tmp_path: Path) -> None:
    draw(*(tmp_path / "n" / name for name in [*NAMES, "new\nline.jpg"]))
    summary = predict_paths(trained.folder, [tmp_path / "n"], tmp_path / "p.csv", PredictOptions(top_k=9))
    rows = read_csv(tmp_path / "p.csv")
    assert (summary.rows, summary.unreadable) == (10 - 1, 0)
    assert {Path(row["image"]).name for row in rows} == {*NAMES, "new\nline.jpg"}
    assert [key for key in rows[0] if key.startswith("label_")] == [f"label_{k}" for k in range(1, 5)]  # four classes
    (tmp_path / "l.txt").write_bytes('\ufeff"n/a,b.jpg"\r\nn\\a,b.jpg\r\nn/a,b.jpg \r\nn/gone.jpg\r\n'.encode())
    summary = predict_paths(trained.folder, [tmp_path / "l.txt"], tmp_path / "l.csv", PredictOptions())
    assert (summary.rows, summary.unreadable) == (4, 1)


def test_fit_warns_as_data_does(
    settings_of: Callable[..., Settings], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    classes(tmp_path / "d" / "train", {"0": 6, "90": 6, "180": 6, "270": 6})
    classes(tmp_path / "d" / "test", {"0": 3, "90": 3, "270": 3, "360": 1})
    (tmp_path / "d" / "train" / "0" / "phone.cr2").touch()
    (tmp_path / "d" / "test" / "90" / "copy.png").write_bytes((tmp_path / "d/train/90/0.png").read_bytes())
    quick = ["method=linear_probe", "phase1.epochs=1", "evaluation.baselines=[]", f"data.root={tmp_path}/d"]
    settings = settings_of(tmp_path / "run", *quick)
    fit(settings)
    inspection = inspect_data(settings, open_images=False)
    kinds = ["passed_over", "without_training", "without_test", "equal_across_splits"]
    assert [warning.kind for warning in inspection.warnings] == kinds
    logged = [record.message for record in caplog.records if record.levelname == "WARNING"]
    details = tmp_path / "run" / "data_warnings.csv"
    assert logged == [*map(str, inspection.warnings), f"Details of these warnings: {details}"]
    write_inspection(inspection, tmp_path / "report", "data")
    assert (tmp_path / "report" / "data_warnings.csv").read_text() == details.read_text()
    accuracies = {row.split(",")[0]: row for row in (tmp_path / "run" / "per_class.csv").read_text().splitlines()}
    assert "nan" not in accuracies["180"] and "0.0" not in accuracies["180"]  # not tested is not 0%


COLLECTIONS = {
    "a defect among good ones": ({"ok": 50, "defect": 2}, {"ok": 3, "defect": 1}),
    "equal classes": ({f"class {i}": 3 for i in (1, 2, 9, 10)}, {f"class {i}": 1 for i in (1, 2, 9, 10)}),
    "classes of one split": ({"oak": 4, "elm": 4, "yew": 1}, {"oak": 1, "elm": 1, "ash": 2}),
}


@pytest.mark.parametrize("name", COLLECTIONS)
def test_runs_on_odd_collections_have_finite_numbers(
    name: str, settings_of: Callable[..., Settings], tmp_path: Path
) -> None:
    train, test = COLLECTIONS[name]
    classes(tmp_path / "d" / "train", train)
    classes(tmp_path / "d" / "test", test)
    quick = ["method=lpt", "phase1.epochs=1", "phase2.epochs=1", f"data.root={tmp_path}/d"]
    metrics = fit(settings_of(tmp_path / "run", *quick, "evaluation.baselines=[linear_probe,balanced_probe]")).metrics
    assert {"visual.linear_probe", "visual.balanced_probe", "visual.phase2"} <= metrics["rows"].keys()
    values = [value for row in metrics["rows"].values() for value in row.values() if value is not None]
    assert all(0 <= value <= 100 for value in values)
    rows = [line.split(",") for line in (tmp_path / "run" / "per_class.csv").read_text().splitlines()[1:]]
    assert [row[0] for row in rows] == sorted({*train, *test}, key=natural_key)
    assert {row[0]: int(row[1]) for row in rows} == {each: train.get(each, 0) for each in {*train, *test}}
    assert {row[0] for row in rows if row[-1] == ""} == train.keys() - test.keys()
