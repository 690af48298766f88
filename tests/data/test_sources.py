import inspect
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from lptpp.config import DataSettings
from lptpp.data.sources import MEANINGS, SOURCES, read_source
from lptpp.utils.errors import UserError

NOTHING: dict[str, Any] = {
    "root": None,
    "class_names": None,
    "train_list": None,
    "validation_list": None,
    "test_list": None,
    "image_column": None,
    "label_column": None,
    "label_columns": [],
    "split_column": None,
    "split_folders": "auto",
    "memory_gb": 1.0,
    "factor": None,
    "profile": "exponential",
    "test": 0.2,
    "split_seed": 0,
}


@pytest.fixture
def root(tmp_path: Path) -> str:
    for split, size in (("train", 10), ("test", 2)):
        for name in "ab":
            (tmp_path / split / name).mkdir(parents=True)
            for i in range(size):
                (tmp_path / split / name / f"{i}.png").touch()
    return str(tmp_path)


def test_refuses_an_unknown_source() -> None:
    with pytest.raises(UserError, match=r"data\.source 'emojis': did you mean emoji"):
        read_source("emojis", 0.0, **NOTHING)


@pytest.mark.parametrize("source", [name for name in SOURCES if name not in ("emoji", "csv", "parquet")])
def test_requires_a_root(source: str) -> None:
    with pytest.raises(UserError, match=rf"data\.source={source} .*data\.root"):
        read_source(source, 0.0, **NOTHING)


@pytest.mark.parametrize("source", ["list", "csv", "parquet", "webdataset"])
def test_requires_a_list(root: str, source: str) -> None:
    with pytest.raises(UserError, match=rf"data\.source={source} .*data\.train_list"):
        read_source(source, 0.0, **NOTHING | {"root": root})


def test_the_settings_of_data_are_the_arguments_of_sources() -> None:
    known = {field.name for field in fields(DataSettings)}
    assert NOTHING.keys() <= known


def test_a_validation_split_is_drawn_from_a_table(tmp_path: Path) -> None:
    for i in range(8):
        (tmp_path / f"{i}.png").touch()
    rows = [f"{i}.png,{'ab'[i % 2]}" for i in range(8)]
    (tmp_path / "table.csv").write_text("\n".join(["image,label", *rows]))
    whole = read_source("csv", 0.25, **NOTHING | {"train_list": str(tmp_path / "table.csv"), "test": 0.25})
    assert {name: split.counts(2).tolist() for name, split in whole.splits().items()} == {
        "train": [2, 2],
        "validation": [1, 1],
        "test": [1, 1],
    }


def test_every_required_argument_has_a_meaning() -> None:
    for source in SOURCES.values():
        for name, parameter in inspect.signature(source).parameters.items():
            assert name in NOTHING
            optional = parameter.annotation in (str | None, float | None) or parameter.default is not parameter.empty
            assert name in MEANINGS or optional


def test_draws_a_validation_split_from_train(root: str) -> None:
    whole = read_source("folder", 0.2, **NOTHING | {"root": root})
    assert whole.validation is not None
    assert whole.test is not None
    assert [split.counts(2).tolist() for split in whole.splits().values()] == [[8, 8], [2, 2], [2, 2]]
    assert not set(whole.validation.images) & set(whole.train.images)


def test_keeps_an_existing_validation_split(root: str) -> None:
    (Path(root) / "val" / "a").mkdir(parents=True)
    (Path(root) / "val" / "a" / "0.png").touch()
    whole = read_source("folder", 0.2, **NOTHING | {"root": root})
    assert whole.validation is not None
    assert whole.validation.images == [Path(root) / "val" / "a" / "0.png"]
    assert whole.counts().tolist() == [10, 10]


def test_draws_no_validation_split_by_default() -> None:
    assert read_source("emoji", 0.0, **NOTHING).validation is None
