import inspect
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from lptpp.config import DataSettings
from lptpp.data.sources import MEANINGS, SOURCES, load_collection
from lptpp.utils.errors import UserError

NOTHING: dict[str, Any] = {
    "root": None,
    "class_names": None,
    "train_list": None,
    "validation_list": None,
    "test_list": None,
    "image_column": None,
    "label_column": None,
    "split_column": None,
    "memory_gb": 1.0,
    "factor": None,
    "profile": "exponential",
    "test": 0.2,
    "split_seed": 0,
}


@pytest.fixture
def root(tmp_path: Path) -> str:
    for part, size in (("train", 10), ("test", 2)):
        for name in "ab":
            (tmp_path / part / name).mkdir(parents=True)
            for i in range(size):
                (tmp_path / part / name / f"{i}.png").touch()
    return str(tmp_path)


def test_refuses_an_unknown_source() -> None:
    with pytest.raises(UserError, match=r"Unknown data\.source 'emojis': did you mean emoji"):
        load_collection("emojis", 0.0, **NOTHING)


@pytest.mark.parametrize("source", [name for name in SOURCES if name not in ("emoji", "csv", "parquet")])
def test_says_that_a_root_is_needed(source: str) -> None:
    with pytest.raises(UserError, match=rf"data\.root is needed by data\.source={source}: the folder"):
        load_collection(source, 0.0, **NOTHING)


@pytest.mark.parametrize("source", ["list", "csv", "parquet", "webdataset"])
def test_says_that_a_list_is_needed(root: str, source: str) -> None:
    with pytest.raises(UserError, match=rf"data\.train_list is needed by data\.source={source}: what lists"):
        load_collection(source, 0.0, **NOTHING | {"root": root})


def test_the_settings_of_data_are_the_arguments_of_sources() -> None:
    known = {field.name for field in fields(DataSettings)}
    assert NOTHING.keys() <= known


def test_a_table_has_a_validation_part_drawn_like_any_other(tmp_path: Path) -> None:
    for i in range(8):
        (tmp_path / f"{i}.png").touch()
    rows = [f"{i}.png,{'ab'[i % 2]}" for i in range(8)]
    (tmp_path / "table.csv").write_text("\n".join(["image,label", *rows]))
    whole = load_collection("csv", 0.25, **NOTHING | {"train_list": str(tmp_path / "table.csv"), "test": 0.25})
    assert {part: split.counts(2).tolist() for part, split in whole.parts().items()} == {
        "train": [2, 2],
        "validation": [1, 1],
        "test": [1, 1],
    }


def test_every_argument_a_source_cannot_do_without_is_explained() -> None:
    for source in SOURCES.values():
        for name, parameter in inspect.signature(source).parameters.items():
            assert name in NOTHING
            assert name in MEANINGS or parameter.annotation in (str | None, float | None)


def test_draws_a_validation_part_from_train(root: str) -> None:
    whole = load_collection("folder", 0.2, **NOTHING | {"root": root})
    assert whole.validation is not None
    assert whole.test is not None
    assert [part.counts(2).tolist() for part in whole.parts().values()] == [[8, 8], [2, 2], [2, 2]]
    assert not set(whole.validation.images) & set(whole.train.images)


def test_leaves_a_validation_part_that_is_there(root: str) -> None:
    (Path(root) / "val" / "a").mkdir(parents=True)
    (Path(root) / "val" / "a" / "0.png").touch()
    whole = load_collection("folder", 0.2, **NOTHING | {"root": root})
    assert whole.validation is not None
    assert whole.validation.images == [Path(root) / "val" / "a" / "0.png"]
    assert whole.counts().tolist() == [10, 10]


def test_no_validation_part_where_none_is_wanted() -> None:
    assert load_collection("emoji", 0.0, **NOTHING).validation is None
