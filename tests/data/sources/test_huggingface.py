import pickle
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest

from lptpp.data.check import check_images
from lptpp.data.dataset import ImageDataset
from lptpp.data.decode import decode
from lptpp.data.sources.huggingface import huggingface
from lptpp.utils.errors import UserError
from tests.drawn import pixels, png

NAMES = ["oak", "elm", "ash"]


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


def dataset(labels: Sequence[int], names: list[str] = NAMES) -> datasets.Dataset:
    features = datasets.Features({"photo": datasets.Image(), "tree": datasets.ClassLabel(names=names)})
    photos = [{"bytes": png(i), "path": f"{i}.png"} for i in range(len(labels))]
    return datasets.Dataset.from_dict({"photo": photos, "tree": list(labels)}, features)


def read(root: Path | str, **changes: Any) -> ImageDataset:
    nothing = dict.fromkeys(
        ["train_list", "validation_list", "test_list", "image_column", "label_column", "class_names"]
    )
    return huggingface(root=str(root), **nothing | {"test": 0.0, "split_seed": 0} | changes)


def refused(root: Path | str, **changes: Any) -> str:
    with pytest.raises(UserError) as error:
        read(root, **changes)
    return str(error.value)


def labels(whole: ImageDataset, part: str = "train") -> list[str]:
    return [whole.class_names[label] for label in whole.splits()[part].labels]


def test_a_saved_data_set(tmp_path: Path) -> None:
    dataset([1, 0, 1, 2]).save_to_disk(tmp_path / "trees")
    whole = read(tmp_path / "trees")
    assert whole.class_names == ["ash", "elm", "oak"]
    assert labels(whole) == ["elm", "oak", "elm", "ash"]
    assert whole.train.name(2) == f"{tmp_path}/trees train row 2"
    for i, image in enumerate(whole.train.images):
        assert np.array_equal(np.asarray(decode(image)), pixels(i))


def test_saved_splits_in_another_order_and_format(tmp_path: Path) -> None:
    parts = {"train": dataset([1, 0, 1, 2]), "Val": dataset([0]), "test": dataset([2, 0, 1, 1]).shuffle(seed=1)}
    parts["train"] = parts["train"].with_format("numpy")
    order = parts["test"]["tree"][:]
    datasets.DatasetDict(parts).save_to_disk(tmp_path / "trees")
    whole = read(tmp_path / "trees")
    assert labels(whole) == ["elm", "oak", "elm", "ash"]
    assert labels(whole, "validation") == ["oak"]
    assert labels(whole, "test") == [NAMES[label] for label in order]
    shown = [np.asarray(picture) for picture in parts["test"]["photo"]]
    for image, expected in zip(whole.splits()["test"].images, shown, strict=True):
        assert np.array_equal(np.asarray(decode(image)), expected)


def test_each_split_may_order_its_class_names_differently(tmp_path: Path) -> None:
    parts = {"train": dataset([0, 1, 2]), "test": dataset([0, 1, 2], NAMES[::-1])}
    for part, found in parts.items():
        found.save_to_disk(tmp_path / "trees" / part)
    (tmp_path / "trees" / "dataset_dict.json").write_text('{"splits": ["train", "test"]}')
    whole = read(tmp_path / "trees")
    assert (labels(whole), labels(whole, "test")) == (NAMES, NAMES[::-1])


def test_class_names_override_the_names_of_the_data_set(tmp_path: Path) -> None:
    dataset([1, 0, 1, 2]).save_to_disk(tmp_path / "trees")
    (tmp_path / "names.txt").write_text("Quercus\nUlmus\nFraxinus\n")
    whole = read(tmp_path / "trees", class_names=str(tmp_path / "names.txt"))
    assert whole.class_names == ["Quercus", "Ulmus", "Fraxinus"]
    assert labels(whole) == ["Ulmus", "Quercus", "Ulmus", "Fraxinus"]


def test_numeric_class_names_are_names(tmp_path: Path) -> None:
    dataset([0, 1, 2], ["2", "1", "0"]).save_to_disk(tmp_path / "digits")
    assert labels(read(tmp_path / "digits")) == ["2", "1", "0"]


def test_splits_that_the_settings_name(tmp_path: Path) -> None:
    parts = {"train": dataset([0, 1, 2]), "dev": dataset([1]), "unlabeled": dataset([-1])}
    datasets.DatasetDict(parts).save_to_disk(tmp_path / "trees")
    whole = read(tmp_path / "trees", train_list="train", test_list="dev")
    assert {part: labels(whole, part) for part in whole.splits()} == {"train": NAMES, "test": ["elm"]}
    assert "has the splits train, dev, unlabeled: " in refused(tmp_path / "trees")
    message = refused(tmp_path / "trees", train_list="train", test_list="deb")
    assert "has no split 'deb': did you mean dev?" in message
    assert "only test" in refused(tmp_path / "trees", test_list="dev")
    message = refused(tmp_path / "trees", train_list="train", test_list="unlabeled")
    assert f"{tmp_path}/trees unlabeled row 0 has no label" in message


def test_two_splits_of_one_kind_are_refused(tmp_path: Path) -> None:
    parts = {"train": dataset([0, 1]), "val": dataset([1]), "validation": dataset([0])}
    datasets.DatasetDict(parts).save_to_disk(tmp_path / "trees")
    assert "has the splits train, val, validation: " in refused(tmp_path / "trees")


def test_a_folder_of_parquet_files_and_a_drawn_test_split(tmp_path: Path) -> None:
    (tmp_path / "trees").mkdir()
    for i in range(2):
        dataset([0, 1] * 4).to_parquet(tmp_path / "trees" / f"train-0000{i}-of-00002.parquet")
    whole = read(tmp_path / "trees", test=0.25)
    assert [split.counts(2).tolist() for split in whole.splits().values()] == [[6, 6], [2, 2]]
    picture = np.asarray(decode(whole.train.images[0]))
    assert any(np.array_equal(picture, pixels(i)) for i in range(8))


def test_a_folder_of_images(tmp_path: Path) -> None:
    for i in range(4):
        path = tmp_path / "trees" / ("train" if i < 3 else "test") / NAMES[i % 2] / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(i))
    whole = read(tmp_path / "trees")
    assert (labels(whole), labels(whole, "test")) == (["elm", "oak", "oak"], ["elm"])
    assert np.array_equal(np.asarray(decode(whole.splits()["test"].images[0])), pixels(3))


def test_columns_that_the_settings_name(tmp_path: Path) -> None:
    kinds = {
        "a": datasets.Image(),
        "b": datasets.Image(),
        "fine": datasets.Value("string"),
        "n": datasets.Value("int64"),
    }
    photos = [{"bytes": png(i), "path": None} for i in range(2)]
    content = {"a": photos, "b": photos[::-1], "fine": ["x", "y"], "n": [7, 8]}
    datasets.Dataset.from_dict(content, datasets.Features(kinds)).save_to_disk(tmp_path / "trees")
    whole = read(tmp_path / "trees", image_column="b", label_column="fine")
    assert labels(whole) == ["x", "y"]
    assert np.array_equal(np.asarray(decode(whole.train.images[0])), pixels(1))
    assert read(tmp_path / "trees", image_column="a", label_column="n").class_names == ["7", "8"]
    assert "data.image_column (a, b)" in refused(tmp_path / "trees", label_column="n")
    message = refused(tmp_path / "trees", image_column="a")
    assert "data.label_column" in message
    assert "a, b, fine, n" in message


def test_images_as_plain_bytes_and_paths(tmp_path: Path) -> None:
    (tmp_path / "1.png").write_bytes(png(1))
    for picture in ([png(0), png(1)], [str(tmp_path / "1.png")] * 2):
        folder = tmp_path / type(picture[0]).__name__
        datasets.Dataset.from_dict({"image": picture, "label": ["x", "y"]}).save_to_disk(folder)
        assert np.array_equal(np.asarray(decode(read(folder).train.images[1])), pixels(1))


def test_empty_rows_are_unreadable_images(tmp_path: Path) -> None:
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=NAMES)})
    content = {"image": [{"bytes": png(0), "path": None}, None, {"bytes": b"x", "path": None}], "label": [0, 1, 2]}
    datasets.Dataset.from_dict(content, features).save_to_disk(tmp_path / "trees")
    _, faults = check_images({"train": read(tmp_path / "trees").train}, "skip")
    assert [name for name, _ in faults] == [f"{tmp_path}/trees train row {i}" for i in (1, 2)]
    assert faults[0][1] != faults[1][1]


def test_references_are_pickled_without_their_bytes(tmp_path: Path) -> None:
    dataset([0, 1, 2]).save_to_disk(tmp_path / "trees")
    images = read(tmp_path / "trees").train.images
    sent = pickle.dumps(images)
    assert [image.read_bytes() for image in pickle.loads(sent)] == [png(i) for i in range(3)]
    assert png(0) not in sent


@pytest.mark.parametrize("root", ["/nowhere/trees", "./trees", "a/b/c", "trees.parquet"])
def test_invalid_names_are_refused_without_a_request(root: str, tmp_path: Path) -> None:
    assert f"data.root: {root} is not a folder" in refused(root)


def test_folders_that_cannot_be_loaded(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert f"data.root: {tmp_path}/empty cannot be loaded" in refused(tmp_path / "empty")
    (tmp_path / "empty" / "state.json").write_text("{")
    assert f"data.root: {tmp_path}/empty cannot be loaded" in refused(tmp_path / "empty")


def test_a_name_is_loaded_from_the_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[tuple[Any, ...]] = []

    def load_dataset(*arguments: Any) -> datasets.DatasetDict:
        asked.append(arguments)
        if arguments[0] == "no/where":
            raise ConnectionError("Couldn't reach 'no/where' on the Hub\nand more")
        return datasets.DatasetDict({"train": dataset([0, 1]), "test": dataset([2])})

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    assert labels(read("owner/trees:large")) == ["oak", "elm"]
    read("trees")
    assert asked == [("owner/trees", "large"), ("trees", None)]
    message = refused("no/where")
    reason = "ConnectionError: Couldn't reach 'no/where' on the Hub"
    assert re.search(rf"^data\.root: no/where .*\({reason}\)", message)
