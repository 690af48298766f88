from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from lptpp.data.sources.labels import clean, found_names, named, numbered
from lptpp.utils.errors import UserError


@pytest.mark.parametrize(
    ("value", "label"),
    [
        (3, 3),
        (3.0, 3),
        (Decimal("3.00"), 3),
        (np.float64(3), 3),
        (0, 0),
        (-1, -1),
        (True, "True"),
        ("3", "3"),
        ("  red \t oak\n", "red oak"),
        ("None", "None"),
        (b"oak", "oak"),
        ("e\u0301", "\u00e9"),
        ('<script>, "a"', '<script>, "a"'),
    ],
)
def test_a_label_is_a_whole_number_or_text(value: Any, label: int | str) -> None:
    found = clean(value, "row 1")
    assert (found, type(found)) == (label, type(label))


@pytest.mark.parametrize("value", [None, float("nan"), np.float64("nan"), "", "  \n", b""])
def test_a_missing_label_is_told_with_its_place(value: Any) -> None:
    with pytest.raises(UserError, match=r"^a\.csv line 7 has no label: "):
        clean(value, "a.csv line 7")


@pytest.mark.parametrize("value", [3.5, float("inf"), [1, 2], {"a": 1}, Decimal("0.1")])
def test_what_is_not_one_class_is_refused(value: Any) -> None:
    with pytest.raises(UserError, match=r"row 1 has the label .*, expected one whole number or one name"):
        clean(value, "row 1")


def test_found_names_are_the_labels_in_natural_order() -> None:
    assert list(found_names(["class 10", "b", "class 2", "b"]).values()) == ["b", "class 2", "class 10"]
    assert found_names([10, 2, 10]) == {2: "2", 10: "10"}


def test_numbers_written_in_several_ways_are_one_class_if_all_are_numbers() -> None:
    assert found_names([3, "3", "3.0", "3.", "007"]) == {3: "3", "3": "3", "3.0": "3", "3.": "3", "007": "007"}
    assert found_names(["3", "3.0", "cat"]) == {"3": "3", "3.0": "3.0", "cat": "cat"}


def test_names_that_differ_in_letter_case_are_refused() -> None:
    with pytest.raises(UserError, match=r"'Oak' and 'oak' differ only in letter case"):
        found_names(["oak", "elm", "Oak"])


def places(labels: list[Any]) -> list[str]:
    return [f"row {i}" for i in range(len(labels))]


@pytest.mark.parametrize(
    ("labels", "names", "numbers"),
    [
        ([2, 0, 1], ["a", "b", "c"], [2, 0, 1]),
        (["c", "a"], ["a", "b", "c"], [2, 0]),
        (["2", "0", "1.0"], ["a", "b", "c"], [2, 0, 1]),
        (["1", "0"], ["0", "2", "1"], [2, 0]),  # every text is a name: names they are
        (["1", "2", "3"], ["3", "2", "1", "x"], [2, 1, 0]),
        (["0", "1"], ["1", "x"], [0, 1]),  # "0" is no name, so that all are numbers
        ([1, "a"], ["a", "b"], [1, 0]),  # a number is a number
        ([], ["a"], []),
    ],
)
def test_labels_are_names_or_numbers_of_names(labels: list[Any], names: list[str], numbers: list[int]) -> None:
    found = numbered(labels, places(labels), names)
    assert (found.tolist(), found.dtype) == (numbers, np.int64)


@pytest.mark.parametrize("label", [3, -1, "3", "-1", "oaks"])
def test_a_label_without_a_name_is_told_with_its_place(label: Any) -> None:
    with pytest.raises(UserError) as error:
        numbered([0, label], ["row 0", "row 1"], ["oak", "elm", "ash"])
    assert str(error.value).startswith(f"row 1 has the label {label!r}, expected one of the 3 class names or a number")
    assert ("did you mean oak?" in str(error.value)) == (label == "oaks")


def test_named_leaves_what_has_no_name() -> None:
    assert named([1, -1, None, 0, 2], ["a", "b"]) == ["b", None, None, "a", None]
