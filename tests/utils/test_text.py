import logging
from pathlib import Path

import pytest

from lptpp.utils.text import VisibleFormatter, listed, percent_hint, short_number, visible


def test_the_first_names_are_listed_and_the_others_counted() -> None:
    assert listed([]) == ""
    assert listed("ab") == "a, b"
    assert listed(range(8)) == "0, 1, 2, 3, 4, 5, 6, 7"
    assert listed(str(i) for i in range(9)) == "0, 1, 2, 3, 4, 5, 6, 7 and 1 more"
    assert listed([Path("a")] * 1234, 1, between="; ") == "a and 1,233 more"
    assert listed("abc", 2, between="; ") == "a; b and 1 more"


def test_a_terminal_shows_control_characters_and_does_not_obey_them() -> None:
    assert visible("a\x1b[31mb\0c\x9b\u202ed") == r"a\x1b[31mb\x00c\x9b\u202ed"
    assert visible("two\r\nlines,\t\u2028\u200e\u2066\udcff") == r"two\r\nlines,\t\u2028\u200e\u2066\udcff"
    assert visible("ü 👩\u200d🔬, شجرة") == "ü 👩\u200d🔬, شجرة"


def test_a_log_line_is_one_line_and_a_traceback_keeps_its_lines() -> None:
    try:
        raise ValueError("a")
    except ValueError as error:
        record = logging.LogRecord(
            "lptpp", 20, "", 0, "seen %s", ("a\nb\x1b",), (ValueError, error, error.__traceback__)
        )
    first, *others = VisibleFormatter("%(message)s").format(record).splitlines()
    assert first == r"seen a\nb\x1b"
    assert others[-1] == "ValueError: a"


@pytest.mark.parametrize(
    ("given", "hint"),
    [(70, "; for 70%, write 0.7"), (20.0, "; for 20%, write 0.2"), (2, ""), (0.5, ""), (-5, ""), (101, "")],
)
def test_a_percentage_instead_of_a_share_gets_a_hint(given, hint):
    assert percent_hint(given) == hint


@pytest.mark.parametrize(("number", "text"), [(20.0, "20"), (0.9000001, "0.9000001"), (7, "7"), (float("nan"), "nan")])
def test_numbers_are_shown_as_they_were_written(number, text):
    assert short_number(number) == text
