import csv
import json
import os
import re
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest

from lptpp.utils import io
from lptpp.utils.disk import remove_partials
from lptpp.utils.errors import UserError
from lptpp.utils.io import locked, write_csv, write_json, write_json_lines, write_parquet


def test_csv_keeps_commas_and_unicode_and_leaves_nan_empty(tmp_path):
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
    write_csv(path, [], ["class", "accuracy"])
    assert path.read_text() == "class,accuracy\n"


def test_json_has_null_for_nan_and_inf(tmp_path):
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


def test_a_failed_write_leaves_only_the_old_file(tmp_path):
    path = tmp_path / "metrics.json"
    write_json(path, {"old": 1})
    with pytest.raises(TypeError):
        write_json(path, {"new": object()})
    assert json.loads(path.read_text()) == {"old": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_json_lines_are_one_row_per_line(tmp_path):
    rows = [{"a": "line\nbreak, 猫", "b": np.float32(0.5)}, {"a": None, "b": float("nan")}]
    write_json_lines(tmp_path / "rows.jsonl", iter(rows))
    lines = (tmp_path / "rows.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in lines] == [{"a": "line\nbreak, 猫", "b": 0.5}, {"a": None, "b": None}]


@pytest.mark.parametrize("count", [0, 1, 7])
def test_parquet_is_written_in_groups_of_rows(count, tmp_path, monkeypatch):
    monkeypatch.setattr(io, "GROUP", 3)
    schema = pyarrow.schema([("name", pyarrow.string()), ("value", pyarrow.float64())])
    rows = [{"name": f"é{number}", "value": None if number else 0.5} for number in range(count)]
    write_parquet(tmp_path / "rows.parquet", iter(rows), schema)
    file = pyarrow.parquet.ParquetFile(tmp_path / "rows.parquet")
    assert file.read().to_pylist() == rows
    assert file.metadata.num_row_groups == -(-count // 3)


def test_a_parquet_file_that_fails_leaves_nothing(tmp_path):
    schema = pyarrow.schema([("value", pyarrow.float64())])
    with pytest.raises(pyarrow.ArrowInvalid):
        write_parquet(tmp_path / "rows.parquet", [{"value": "text"}], schema)
    assert list(tmp_path.iterdir()) == []


def test_a_lock_is_held_once_and_can_be_taken_again(tmp_path):
    path = tmp_path / "lock"
    with locked(path, "first"), pytest.raises(UserError, match="second"), locked(path, "second"):
        pass
    with locked(path, "third"):
        pass


def test_every_file_is_written_by_the_helpers():
    """Files in place, `open` for writing and the savers of libraries, outside of `lptpp.utils`."""
    writes = re.compile(
        r"\.write_(text|bytes)\(|open\([^)]*\"[wxa]b?\+?\"|\bsave_file\(|\bdump\(|\.mkdir\(|\.touch\(|FileHandler"
        r"|copyfile\(|torch\.save\("
    )
    package = Path(io.__file__).parents[1]
    found = {
        str(path.relative_to(package))
        for path in package.rglob("*.py")
        if writes.search(path.read_text(encoding="utf-8")) and path.parent.name != "utils"
    }
    assert found == {
        "checkpoint/lock.py",  # the lock
        "checkpoint/store.py",  # into a folder that is renamed once complete
        "export/hugging_face.py",  # into a folder that is renamed once complete
        "prediction/store.py",  # empty files that are appended to
    }


def test_partial_files_of_killed_processes_are_removed(tmp_path):
    for name in (".a.csv.999999999.partial", f".b.csv.{os.getppid()}.partial", "c.partial", ".d.partial"):
        (tmp_path / name).touch()
    remove_partials(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {f".b.csv.{os.getppid()}.partial", "c.partial", ".d.partial"}
