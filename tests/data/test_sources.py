import inspect
from pathlib import Path
from typing import Any

import pytest

from lptpp.data import MEANINGS, SOURCES, load_collection
from lptpp.errors import UserError

NOTHING: dict[str, Any] = {
    "root": None,
    "class_names": None,
    "train_list": None,
    "validation_list": None,
    "test_list": None,
    "factor": 100.0,
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


@pytest.mark.parametrize("source", [name for name in SOURCES if name != "emoji"])
def test_says_that_a_root_is_needed(source: str) -> None:
    with pytest.raises(UserError, match=rf"data\.root is needed by data\.source={source}: the folder"):
        load_collection(source, 0.0, **NOTHING)


def test_says_that_a_list_is_needed(root: str) -> None:
    with pytest.raises(UserError, match=r"data\.train_list is needed by data\.source=list"):
        load_collection("list", 0.0, **NOTHING | {"root": root})


def test_every_argument_a_source_cannot_do_without_is_explained() -> None:
    for source in SOURCES.values():
        for name, parameter in inspect.signature(source).parameters.items():
            assert name in NOTHING
            assert name in MEANINGS or parameter.annotation == (str | None)


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
