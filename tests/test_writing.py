import csv
import json

import numpy as np
import pytest

from lptpp.writing import write_csv, write_json


def test_csv_keeps_commas_and_other_alphabets_and_leaves_unknown_numbers_empty(tmp_path):
    path = tmp_path / "table.csv"
    write_csv(
        path,
        ({"class": name, "accuracy": value} for name, value in [("café, 猫", np.float64(1.5)), ("b", np.nan)]),
    )
    with path.open(encoding="utf-8", newline="") as file:
        assert list(csv.DictReader(file)) == [
            {"class": "café, 猫", "accuracy": "1.5"},
            {"class": "b", "accuracy": ""},
        ]
    write_csv(path, [])
    assert path.read_text() == ""


def test_json_holds_null_for_numbers_that_json_lacks(tmp_path):
    path = tmp_path / "metrics.json"
    content = {
        "a": float("nan"),
        "b": [1, float("inf")],
        "c": np.array([1.0, np.nan]),
        "d": np.int64(3),
        "e": "é",
        "f": True,
    }
    write_json(path, content)
    text = path.read_text(encoding="utf-8")
    wanted = {"a": None, "b": [1, None], "c": [1.0, None], "d": 3, "e": "é", "f": True}
    assert json.loads(text) == wanted
    assert text.startswith('{\n  "a": null')


def test_a_failed_write_leaves_the_old_file_and_nothing_beside_it(tmp_path):
    path = tmp_path / "metrics.json"
    write_json(path, {"old": 1})
    with pytest.raises(TypeError):
        write_json(path, {"new": object()})
    assert json.loads(path.read_text()) == {"old": 1}
    assert list(tmp_path.iterdir()) == [path]
