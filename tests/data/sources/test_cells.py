from pathlib import Path
from typing import Any

import pytest

from lptpp.data.dataset import Encoded
from lptpp.data.decode import problem
from lptpp.data.sources.columns import LABEL_COLUMNS, Nothing, pick, reference
from lptpp.utils.errors import UserError


def chosen(header: list[str], given: str | None = None) -> str:
    return pick(header, given, LABEL_COLUMNS, "data.label_column", "a.csv")


def test_a_column_that_is_named_is_taken_as_it_is_written() -> None:
    assert chosen(["Species", "label"], "Species") == "Species"


@pytest.mark.parametrize("name", ["label", "Label", "CLASS", "category"])
def test_a_column_with_a_usual_name_is_found(name: str) -> None:
    assert chosen(["image", name]) == name
    assert chosen(["image", name], "") == name


@pytest.mark.parametrize(
    ("header", "given", "messages"),
    [
        (["image", "specie"], "species", " has no column 'species' (data.label_column): did you mean specie?"),
        (["image", "Species"], "species", " has no column 'species' (data.label_column): did you mean Species?"),
        (
            ["image", "kind"],
            None,
            " has none of the columns label, labels, class, class_name, category: give data.label_column=NAME;"
            " there are image, kind.",
        ),
        (["class", "label"], None, ": data.label_column may be any of the columns class, label: give it"),
        (["a", "a"], "a", " has 2 columns 'a' (data.label_column): rename all but one."),
        (
            [],
            None,
            " has none of the columns label, labels, class, class_name, category: give data.label_column=NAME;"
            " there are none.",
        ),
    ],
)
def test_a_column_that_is_not_there_once_is_refused(header: list[str], given: str | None, messages: str) -> None:
    with pytest.raises(UserError) as error:
        chosen(header, given)
    assert str(error.value).startswith(f"a.csv{messages}")


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("cats/1.png", Path("/root/cats/1.png")),
        (" 1.png ", Path("/root/1.png")),
        ("/elsewhere/1.png", Path("/elsewhere/1.png")),
        (b"bytes", Encoded(b"bytes", "row 3")),
        ({"bytes": b"bytes", "path": "1.png"}, Encoded(b"bytes", "row 3")),
        ({"bytes": None, "path": "1.png"}, Path("/root/1.png")),
        ({"path": "1.png"}, Path("/root/1.png")),
    ],
)
def test_a_cell_holds_a_path_or_bytes(value: Any, found: object) -> None:
    assert reference(value, "row 3", Path("/root")) == found


@pytest.mark.parametrize("value", [None, "", " ", b"", float("nan"), {}, {"bytes": None, "path": None}])
def test_an_empty_cell_is_a_picture_that_cannot_be_read(value: Any) -> None:
    found = reference(value, "row 3", Path())
    assert (found, str(found)) == (Nothing("row 3"), "row 3")
    assert problem(found) == "cannot be read: the row names no picture"


@pytest.mark.parametrize("value", [7, [1], True])
def test_a_cell_that_holds_something_else_is_told_with_its_place(value: Any) -> None:
    with pytest.raises(UserError, match=r"^row 3 holds no picture, expected a path or the bytes of an image file"):
        reference(value, "row 3", Path())
