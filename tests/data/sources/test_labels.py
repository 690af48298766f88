from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from lptpp.data.sources.labels import clean_label, infer_class_names, label_indices, label_names
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
    found = clean_label(value, "row 1")
    assert (found, type(found)) == (label, type(label))


@pytest.mark.parametrize("value", [None, float("nan"), np.float64("nan"), "", "  \n", b""])
def test_a_missing_label_is_refused_with_its_place(value: Any) -> None:
    with pytest.raises(UserError, match=r"^a\.csv line 7 "):
        clean_label(value, "a.csv line 7")


@pytest.mark.parametrize("value", [3.5, float("inf"), [1, 2], {"a": 1}, Decimal("0.1")])
def test_a_label_that_is_not_one_class_is_refused(value: Any) -> None:
    with pytest.raises(UserError, match=r"^row 1 "):
        clean_label(value, "row 1")


def test_inferred_names_are_the_labels_in_natural_order() -> None:
    assert list(infer_class_names(["class 10", "b", "class 2", "b"]).values()) == ["b", "class 2", "class 10"]
    assert infer_class_names([10, 2, 10]) == {2: "2", 10: "10"}


def test_numbers_written_in_several_ways_are_one_class_if_all_are_numbers() -> None:
    assert infer_class_names([3, "3", "3.0", "3.", "007"]) == {3: "3", "3": "3", "3.0": "3", "3.": "3", "007": "007"}
    assert infer_class_names(["3", "3.0", "cat"]) == {"3": "3", "3.0": "3.0", "cat": "cat"}


def test_all_unknown_labels_are_listed_and_close_names_alone_are_suggested() -> None:
    labels = ["Garlic", "Gerlic", "garlic", "Garland", "Gerlic", "1000"]
    with pytest.raises(UserError) as error:
        label_indices(labels, [f"line {i}" for i in range(6)], ["Garlic", "Ginger", "100"])
    assert str(error.value) == (
        "line 1 has the label 'Gerlic' (3 other labels unknown too: garlic, Garland, 1000), expected a number from 0 to"
        " 2 or one of the 3 class names: Garlic, Ginger, 100. Did you mean Garlic (for 'Gerlic'), Garlic (for"
        " 'garlic')?"
    )


def test_names_that_differ_in_letter_case_are_refused() -> None:
    with pytest.raises(UserError, match=r"'Oak'.*'oak'"):
        infer_class_names(["oak", "elm", "Oak"])


def places(labels: list[Any]) -> list[str]:
    return [f"row {i}" for i in range(len(labels))]


@pytest.mark.parametrize(
    ("labels", "names", "numbers"),
    [
        ([2, 0, 1], ["a", "b", "c"], [2, 0, 1]),
        (["c", "a"], ["a", "b", "c"], [2, 0]),
        (["2", "0", "1.0"], ["a", "b", "c"], [2, 0, 1]),
        (["1", "0"], ["0", "2", "1"], [2, 0]),  # every text is a name
        (["1", "2", "3"], ["3", "2", "1", "x"], [2, 1, 0]),
        (["0", "1"], ["1", "x"], [0, 1]),  # "0" is not a name: all are numbers
        ([1, "a"], ["a", "b"], [1, 0]),  # a number is never a name
        ([], ["a"], []),
    ],
)
def test_labels_are_names_or_numbers_of_names(labels: list[Any], names: list[str], numbers: list[int]) -> None:
    found = label_indices(labels, places(labels), names)
    assert (found.tolist(), found.dtype) == (numbers, np.int64)


@pytest.mark.parametrize("label", [3, -1, "3", "-1", "oaks"])
def test_a_label_without_a_name_is_refused_with_its_place(label: Any) -> None:
    with pytest.raises(UserError) as error:
        label_indices([0, label], ["row 0", "row 1"], ["oak", "elm", "ash"])
    assert str(error.value).startswith(f"row 1 has the label {label!r}")
    assert ("Did you mean oak " in str(error.value)) == (label == "oaks")


def test_label_names_of_labels_out_of_range_are_none() -> None:
    assert label_names([1, -1, None, 0, 2], ["a", "b"]) == ["b", None, None, "a", None]
