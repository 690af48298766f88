"""Cells like formulas: escaped for spreadsheets, and read back exactly."""

import csv

import pytest

from lptpp.utils.io import read_csv, write_csv
from lptpp.utils.spreadsheet import escaped, exact

FORMULAS = [
    "=1+1", '=HYPERLINK("x")', "+cmd", "-cmd", "@SUM(1)", "\tx", "\rx", "\n=x", "＝1", "-1+1", "+", "--1", "'=1",
    "''=1", "'\t",
]  # fmt: skip
TEXTS = [
    "", "a=1", "oak, red", "it's", "'", "''", "'quoted'", "-1", "+2.5", "-1e-3", "-.5", "'-1", " =1", "a\rb",
    'a"b', "猫\0",
]  # fmt: skip


@pytest.mark.parametrize("text", FORMULAS)
def test_formulas_get_an_apostrophe(text):
    assert escaped(text) == f"'{text}"


@pytest.mark.parametrize("text", TEXTS)
def test_other_texts_stay(text):
    assert escaped(text) == text


@pytest.mark.parametrize("value", [-1, -0.5, None, True])
def test_numbers_stay(value):
    assert escaped(value) is value


@pytest.mark.parametrize("ahead", ["", "'", "''", "'''"])
@pytest.mark.parametrize("text", [*FORMULAS, *TEXTS])
def test_every_text_is_read_back_exactly(ahead, text):
    assert exact(escaped(ahead + text)) == ahead + text


@pytest.mark.parametrize("formulas", [True, False])
def test_a_file_is_read_back_exactly(formulas, tmp_path):
    rows = [{"-name": text, "number": f"{number}"} for number, text in enumerate([*FORMULAS, *TEXTS], start=-3)]
    write_csv(tmp_path / "a.csv", rows, formulas=formulas)
    assert read_csv(tmp_path / "a.csv", formulas) == rows
    with (tmp_path / "a.csv").open(encoding="utf-8", newline="") as file:
        header, *lines = csv.reader(file)
    texts = [header[0], *(line[0] for line in lines)]
    assert any(text.startswith("=") for text in texts) == formulas
    assert header[0] == ("-name" if formulas else "'-name")


def test_lines_end_in_a_line_feed(tmp_path):
    write_csv(tmp_path / "a.csv", [{"a": 1, "b": "x\r\ny"}, {"a": None, "b": "z"}])
    assert (tmp_path / "a.csv").read_bytes() == b'a,b\n1,"x\r\ny"\n,z\n'


@pytest.mark.parametrize("text", ["a,b\n1\n", "a,b\n1,2,3\n"])
def test_a_row_of_another_length_is_an_error(text, tmp_path):
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(ValueError, match="zip"):
        read_csv(tmp_path / "a.csv")


def test_no_rows(tmp_path):
    (tmp_path / "a.csv").touch()
    assert read_csv(tmp_path / "a.csv") == []
