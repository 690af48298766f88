from pathlib import Path
from typing import Any

import pytest

from lptpp.data.dataset import EncodedImage, MissingImage
from lptpp.data.decode import unreadable_reason
from lptpp.data.sources.columns import LABEL_COLUMNS, image_reference, pick_column
from lptpp.data.sources.locate import Locator
from lptpp.utils.errors import UserError


def chosen(header: list[str], given: str | None = None) -> str:
    return pick_column(header, given, LABEL_COLUMNS, "data.label_column", "a.csv")


def test_a_given_column_matches_exactly() -> None:
    assert chosen(["Species", "label"], "Species") == "Species"


@pytest.mark.parametrize("name", ["label", "Label", "CLASS", "category"])
def test_a_column_with_a_usual_name_is_found(name: str) -> None:
    assert chosen(["image", name]) == name
    assert chosen(["image", name], "") == name


@pytest.mark.parametrize(
    ("header", "given", "named"),
    [
        (["image", "specie"], "species", ["'species'", "did you mean specie?"]),
        (["image", "Species"], "species", ["'species'", "did you mean Species?"]),
        (["image", "kind"], None, ["label, labels, class, class_name or category", "image, kind"]),
        (["class", "label"], None, ["class, label"]),
        (["a", "a"], "a", ["2", "'a'"]),
        ([], None, ["label, labels, class, class_name or category", "none"]),
    ],
)
def test_a_missing_or_ambiguous_column_is_refused(header: list[str], given: str | None, named: list[str]) -> None:
    with pytest.raises(UserError, match=r"^a\.csv .*data\.label_column") as error:
        chosen(header, given)
    assert all(word in str(error.value) for word in named)


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("cats/1.png", Path("/root/cats/1.png")),
        (" 1.png ", Path("/root/1.png")),
        ("/elsewhere/1.png", Path("/elsewhere/1.png")),
        (b"bytes", EncodedImage(b"bytes", "row 3")),
        ({"bytes": b"bytes", "path": "1.png"}, EncodedImage(b"bytes", "row 3")),
        ({"bytes": None, "path": "1.png"}, Path("/root/1.png")),
        ({"path": "1.png"}, Path("/root/1.png")),
    ],
)
def test_a_cell_is_a_path_or_bytes(value: Any, found: object) -> None:
    assert image_reference(value, "row 3", Locator(Path("/root"))) == found


@pytest.mark.parametrize("value", [None, "", " ", b"", float("nan"), {}, {"bytes": None, "path": None}])
def test_an_empty_cell_is_an_unreadable_image(value: Any) -> None:
    found = image_reference(value, "row 3", Path())
    assert (found, str(found)) == (MissingImage("row 3"), "row 3")
    assert unreadable_reason(found) is not None


@pytest.mark.parametrize("value", [7, [1], True])
def test_another_cell_is_refused_with_its_place(value: Any) -> None:
    with pytest.raises(UserError, match=r"^row 3 "):
        image_reference(value, "row 3", Path())
