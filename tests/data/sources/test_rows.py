from pathlib import Path

import pytest

from lptpp.data.sources.rows import Rows, assembled, by_part, joined
from lptpp.utils.errors import UserError


def rows(*labels: object) -> Rows:
    return Rows([Path(f"{i}.png") for i in range(len(labels))], list(labels), [f"row {i}" for i in range(len(labels))])


def test_rows_go_to_the_part_their_column_names() -> None:
    parts = by_part(rows(*"abcdef"), ["train", "VAL", "Test", " valid ", "Train", "validation"])
    assert {part: (found.labels, found.places) for part, found in parts.items()} == {
        "train": (["a", "e"], ["row 0", "row 4"]),
        "validation": (["b", "d", "f"], ["row 1", "row 3", "row 5"]),
        "test": (["c"], ["row 2"]),
    }
    assert parts["validation"].images == [Path("1.png"), Path("3.png"), Path("5.png")]


@pytest.mark.parametrize("name", ["dev", "", None, 0])
def test_another_part_is_refused_with_its_place(name: object) -> None:
    with pytest.raises(UserError) as error:
        by_part(rows("a", "b"), ["train", name])
    expected = "expected one of train, val, valid, validation, test"
    assert str(error.value).startswith(f"row 1 is of the part {name!r}, {expected}")


def test_joined_keeps_the_order() -> None:
    both = joined([rows("a", "b"), rows("c")])
    assert (both.labels, both.places) == (["a", "b", "c"], ["row 0", "row 1", "row 0"])
    assert both.images == [Path("0.png"), Path("1.png"), Path("0.png")]


def test_classes_come_from_all_parts() -> None:
    whole = assembled({"train": rows("b", "a", "b"), "test": rows("c")}, None, 0.2, 0)
    assert whole.class_names == ["a", "b", "c"]
    assert {part: split.labels.tolist() for part, split in whole.parts().items()} == {"train": [1, 0, 1], "test": [2]}


def test_numbers_of_different_kinds_are_the_same_classes_in_all_parts() -> None:
    whole = assembled({"train": rows(10.0, 9, 9), "test": rows("10", "9.0")}, None, 0.2, 0)
    assert whole.class_names == ["9", "10"]
    assert [split.labels.tolist() for split in whole.parts().values()] == [[1, 0, 0], [1, 0]]


def test_names_that_are_given_keep_their_order() -> None:
    whole = assembled({"train": rows("b", 0, "a")}, ["b", "a", "unused"], 0.0, 0)
    assert whole.class_names == ["b", "a", "unused"]
    assert whole.train.labels.tolist() == [0, 0, 1]
    assert whole.test is None


def test_a_test_part_is_drawn_where_there_is_none() -> None:
    whole = assembled({"train": rows(*"aaaabbbb")}, None, 0.5, 0)
    assert whole.counts().tolist() == [2, 2]
    assert whole.test is not None
    assert whole.test.counts(2).tolist() == [2, 2]
    assert not set(map(str, whole.test.images)) & set(map(str, whole.train.images))


def test_without_a_training_part_it_is_refused() -> None:
    with pytest.raises(UserError, match="There is no training part, only test: name one part train"):
        assembled({"test": rows("a", "b")}, None, 0.2, 0)
