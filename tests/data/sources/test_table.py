import csv
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow
import pyarrow.parquet
import pytest

from lptpp.data.check import check_images
from lptpp.data.dataset import EncodedImage, ImageDataset, Split
from lptpp.data.decode import decode
from lptpp.data.sources.table import table
from lptpp.utils.errors import UserError
from tests.drawn import pixels, png

ROWS = [("0.png", "oak", "train"), ("1.png", "elm", "train"), ("deep/2.png", "oak", "val"), ("3.png", "ash", "Test")]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for i, (name, _, _) in enumerate(ROWS):
        (tmp_path / "pictures" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "pictures" / name).write_bytes(png(i))
    return tmp_path


def write_csv(path: Path, rows: list[tuple[Any, ...]], header: tuple[str, ...] = ("path", "label", "split")) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header[: len(rows[0])], *rows])
    return path


def write_parquet(path: Path, **columns: Any) -> Path:
    pyarrow.parquet.write_table(pyarrow.table(columns), path)
    return path


def read(train_list: Path | str, **changes: Any) -> ImageDataset:
    nothing = dict.fromkeys(
        ["root", "validation_list", "test_list", "image_column", "label_column", "split_column", "class_names"]
    )
    return table(train_list=str(train_list), **nothing | {"test": 0.0, "split_seed": 0, "memory_gb": 1.0} | changes)


def refused(train_list: Path | str, **changes: Any) -> str:
    with pytest.raises(UserError) as error:
        read(train_list, **changes)
    return str(error.value)


def named(split: Split | None, names: list[str]) -> list[tuple[str, str]]:
    assert split is not None
    return [(str(image), names[label]) for image, label in zip(split.images, split.labels, strict=True)]


def test_a_csv_divided_by_its_split_column(root: Path) -> None:
    whole = read(write_csv(root / "pictures" / "table.csv", ROWS))
    folder = root / "pictures"
    assert whole.class_names == ["ash", "elm", "oak"]
    assert named(whole.train, whole.class_names) == [(f"{folder}/0.png", "oak"), (f"{folder}/1.png", "elm")]
    assert named(whole.validation, whole.class_names) == [(f"{folder}/deep/2.png", "oak")]
    assert named(whole.test, whole.class_names) == [(f"{folder}/3.png", "ash")]


def test_paths_are_relative_to_the_root_if_given(root: Path) -> None:
    path = write_csv(root / "elsewhere" / "table.csv", ROWS)
    assert read(path, root=str(root / "pictures")).train.images[0] == root / "pictures" / "0.png"
    message = refused(path)
    assert f"4 listed images exists ({path} line 2: {root}/elsewhere/0.png and 3 more)" in message
    assert "data.root" in message


def test_the_table_may_be_named_from_the_root(root: Path) -> None:
    write_csv(root / "pictures" / "table.csv", ROWS)
    assert len(read("table.csv", root=str(root / "pictures")).train) == 2


def test_a_split_column_of_another_name_and_an_ignored_one(root: Path) -> None:
    path = write_csv(root / "pictures" / "table.csv", ROWS, ("path", "label", "use"))
    assert len(read(path).train) == 4
    assert len(read(path, split_column="use").train) == 2
    path = write_csv(root / "pictures" / "table.csv", [(*row[:2], "A") for row in ROWS])
    assert f"{path} line 2 has the split 'A'" in refused(path)
    assert len(read(path, split_column="none").train) == 4


def test_a_table_for_each_split(root: Path) -> None:
    train = write_csv(root / "pictures" / "train.csv", ROWS[:2])
    test = write_csv(root / "pictures" / "test.csv", ROWS[2:])  # its split column is ignored here
    whole = read(train, test_list=str(test))
    assert [len(part) for part in whole.splits().values()] == [2, 2]
    assert "data.split_column" in refused(train, test_list=str(test), split_column="split")
    assert len(read(train, test_list=str(test), split_column="none").train) == 2


def test_a_pattern_of_tables(root: Path) -> None:
    for i, row in enumerate(ROWS[:2]):
        write_csv(root / "pictures" / f"part-{i}.csv", [row])
    whole = read(root / "pictures" / "part-*.csv")
    assert named(whole.train, whole.class_names) == [
        (f"{root}/pictures/0.png", "oak"), (f"{root}/pictures/1.png", "elm"),
    ]  # fmt: skip
    assert len(read("part-?.csv", root=str(root / "pictures")).train) == 2
    assert "part-*.txt matches no file" in refused("part-*.txt", root=str(root))


def test_a_test_split_is_drawn(root: Path) -> None:
    rows = [(f"{i % 2}.png", "oak", "train") for i in range(8)] + [("3.png", "elm", "val")]
    whole = read(write_csv(root / "pictures" / "table.csv", rows), test=0.25)
    assert [len(part) for part in whole.splits().values()] == [6, 1, 2]


def test_labels_are_numbers_of_names_in_a_file(root: Path) -> None:
    rows = [(name, label) for (name, _, _), label in zip(ROWS, ["1.0", "0", "1", "2"], strict=True)]
    path = write_csv(root / "pictures" / "table.csv", rows)
    (root / "pictures" / "names.txt").write_text("ash\nelm\noak\n")
    whole = read(path, root=str(root / "pictures"), class_names="names.txt")
    assert (whole.class_names, whole.train.labels.tolist()) == (["ash", "elm", "oak"], [1, 0, 1, 2])
    (root / "pictures" / "names.txt").write_text("ash\nelm\n")
    assert f"{path} line 5 has the label '2'" in refused(path, class_names=str(root / "pictures" / "names.txt"))


@pytest.mark.parametrize("label", ["", "  "])
def test_a_missing_label_is_refused_with_its_line(root: Path, label: str) -> None:
    path = write_csv(root / "pictures" / "table.csv", [*ROWS, ("0.png", label, "train")])
    assert refused(path).startswith(f"{path} line 6 has no label: ")


def test_a_missing_label_in_parquet_is_refused_with_its_row(root: Path) -> None:
    path = write_parquet(root / "a.parquet", image=[png(0), png(1)], label=[1.0, float("nan")])
    assert refused(path).startswith(f"{path} row 1 has no label: ")


def test_a_table_without_rows_is_refused(root: Path) -> None:
    path = root / "empty.csv"
    path.write_text("path,label\n")
    assert str(path) in refused(path)


def columns_of_images() -> dict[str, Any]:
    bytes_ = [png(i) for i in range(4)]
    return {
        "bytes": bytes_,
        "large": pyarrow.array(bytes_, pyarrow.large_binary()),
        "struct": [{"bytes": b, "path": f"{i}.jpg"} for i, b in enumerate(bytes_)],
        "paths": [f"pictures/{name}" for name, _, _ in ROWS],
        "mixed": [{"bytes": b if i % 2 else None, "path": f"pictures/{ROWS[i][0]}"} for i, b in enumerate(bytes_)],
        "categories": pyarrow.array([f"pictures/{name}" for name, _, _ in ROWS]).dictionary_encode(),
    }


@pytest.mark.parametrize("kind", columns_of_images())
def test_parquet_with_every_kind_of_images(root: Path, kind: str) -> None:
    labels = pyarrow.array(["oak", "elm", "oak", "elm"]).dictionary_encode()
    path = write_parquet(root / "a.parquet", picture=columns_of_images()[kind], kind=labels)
    whole = read(path, image_column="picture", label_column="kind")
    assert whole.class_names == ["elm", "oak"]
    assert whole.train.labels.tolist() == [1, 0, 1, 0]
    for i, image in enumerate(whole.train.images):
        assert np.array_equal(np.asarray(decode(image)), pixels(i))


def test_images_in_a_table_are_named_by_their_row(root: Path) -> None:
    path = write_parquet(root / "a.parquet", image=[png(0), b"no picture", png(2)], label=[0, 1, 1])
    split = read(path).train
    assert [split.name(i) for i in range(3)] == [f"{path} row {i}" for i in range(3)]
    assert split.images[0] == EncodedImage(png(0), f"{path} row 0")
    good, faults = check_images({"train": split}, "skip")
    assert faults == [(f"{path} row 1", "cannot be read: not in a supported image format")]
    assert len(good["train"]) == 2


def test_missing_files_and_empty_cells_are_unreadable_images(root: Path) -> None:
    path = write_csv(root / "pictures" / "table.csv", [*ROWS, ("gone.png", "oak", "train"), ("", "oak", "test")])
    good, faults = check_images(read(path).splits(), "skip")
    gone, empty = f"{root}/pictures/gone.png", f"{path} line 7"
    assert faults == [
        (gone, "cannot be read: file not found"), (empty, "cannot be read: the row has no image"),
    ]  # fmt: skip
    assert [len(part) for part in good.values()] == [2, 1, 1]


def test_parquet_as_hugging_face_writes_it(root: Path) -> None:
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["oak", "an elm"])})
    pictures = [{"bytes": png(i), "path": None} for i in range(3)]
    path = root / "a.parquet"
    datasets.Dataset.from_dict({"image": pictures, "label": [1, 0, 1]}, features).to_parquet(path)
    whole = read(path)
    assert (whole.class_names, whole.train.labels.tolist()) == (["an elm", "oak"], [0, 1, 0])
    assert np.array_equal(np.asarray(decode(whole.train.images[2])), pixels(2))
    (root / "names.txt").write_text("Quercus\nUlmus\n")
    renamed = read(path, class_names=str(root / "names.txt"))
    assert (renamed.class_names, renamed.train.labels.tolist()) == (["Quercus", "Ulmus"], [1, 0, 1])


def test_a_class_label_of_minus_one_is_no_label(root: Path) -> None:
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["oak", "elm"])})
    pictures = [{"bytes": png(i), "path": None} for i in range(2)]
    path = root / "a.parquet"
    datasets.Dataset.from_dict({"image": pictures, "label": [1, -1]}, features).to_parquet(path)
    assert refused(path).startswith(f"{path} row 1 has no label")


def test_more_bytes_than_memory_are_refused_before_they_are_read(root: Path) -> None:
    noise = np.random.default_rng(0).bytes(400_000)
    path = write_parquet(root / "a.parquet", image=[noise, noise[::-1]], label=["a", "b"])
    message = refused(path, memory_gb=0.0005)
    assert "data.memory_gb=0.0005" in message
    assert len(read(path, memory_gb=0.001).train) == 2
    paths = write_csv(root / "pictures" / "table.csv", ROWS)
    assert len(read(paths, memory_gb=0).train) == 2
