from pathlib import Path

import pytest

from lptpp.data.sources.labeled_images import LabeledImages, build_dataset, by_split, concatenate
from lptpp.utils.errors import UserError


def rows(*labels: object) -> LabeledImages:
    return LabeledImages(
        [Path(f"{i}.png") for i in range(len(labels))], list(labels), [f"row {i}" for i in range(len(labels))]
    )


def test_rows_are_divided_by_the_split_column() -> None:
    splits = by_split(rows(*"abcdef"), ["train", "DEV", "Testing", " valid ", "Training", "validation"])
    assert {split: (found.labels, found.places) for split, found in splits.items()} == {
        "train": (["a", "e"], ["row 0", "row 4"]),
        "validation": (["b", "d", "f"], ["row 1", "row 3", "row 5"]),
        "test": (["c"], ["row 2"]),
    }
    assert splits["validation"].images == [Path("1.png"), Path("3.png"), Path("5.png")]


@pytest.mark.parametrize("name", ["holdout", "", None, 0])
def test_another_split_is_refused_with_its_place(name: object) -> None:
    with pytest.raises(UserError) as error:
        by_split(rows("a", "b"), ["train", name])
    assert str(error.value).startswith(f"row 1 has the split {name!r}")
    assert "train, training, val, valid" in str(error.value)


def test_concatenate_keeps_the_order() -> None:
    both = concatenate([rows("a", "b"), rows("c")])
    assert (both.labels, both.places) == (["a", "b", "c"], ["row 0", "row 1", "row 0"])
    assert both.images == [Path("0.png"), Path("1.png"), Path("0.png")]


def test_classes_come_from_all_splits() -> None:
    whole = build_dataset({"train": rows("b", "a", "b"), "test": rows("c")}, None, 0.2, 0)
    assert whole.class_names == ["a", "b", "c"]
    assert {name: split.labels.tolist() for name, split in whole.splits().items()} == {"train": [1, 0, 1], "test": [2]}


def test_numbers_of_different_kinds_are_the_same_classes_in_all_splits() -> None:
    whole = build_dataset({"train": rows(10.0, 9, 9), "test": rows("10", "9.0")}, None, 0.2, 0)
    assert whole.class_names == ["9", "10"]
    assert [split.labels.tolist() for split in whole.splits().values()] == [[1, 0, 0], [1, 0]]


def test_names_that_are_given_keep_their_order() -> None:
    whole = build_dataset({"train": rows("b", 0, "a")}, ["b", "a", "unused"], 0.0, 0)
    assert whole.class_names == ["b", "a", "unused"]
    assert whole.train.labels.tolist() == [0, 0, 1]
    assert whole.test is None


def test_a_missing_test_split_is_drawn() -> None:
    whole = build_dataset({"train": rows(*"aaaabbbb")}, None, 0.5, 0)
    assert whole.counts().tolist() == [2, 2]
    assert whole.test is not None
    assert whole.test.counts(2).tolist() == [2, 2]
    assert not set(map(str, whole.test.images)) & set(map(str, whole.train.images))


def test_a_training_split_is_required() -> None:
    with pytest.raises(UserError, match="only test"):
        build_dataset({"test": rows("a", "b")}, None, 0.2, 0)
