import json
import sys

import numpy as np
import pyarrow.parquet
import pytest

from lptpp.prediction import writer as outputs
from lptpp.prediction.suffixes import FEATURES, TABLES, check_suffix
from lptpp.prediction.writer import write_features, write_rows
from lptpp.utils.errors import UserError

COLUMNS = ["image", "prediction", "label_1", "probability_1", "error"]
ROWS = [
    dict(zip(COLUMNS, values, strict=True))
    for values in (
        ("a,b.png", 'the "cat"', 'the "cat"', 0.75, None),
        ("new\nline.png", None, "<script>", 1.0, None),
        ("猫.png", None, None, None, "the file is empty"),
    )
]


def test_every_format_holds_the_same_rows(tmp_path):
    for suffix in TABLES:
        write_rows(tmp_path / f"out{suffix}", iter(ROWS), COLUMNS)
    lines = (tmp_path / "out.jsonl").read_text(encoding="utf-8").split("\n")
    assert [json.loads(line) for line in lines[:-1]] == ROWS
    assert lines[-1] == ""
    assert pyarrow.parquet.read_table(tmp_path / "out.parquet").to_pylist() == ROWS
    expected = (
        'image,prediction,label_1,probability_1,error\n"a,b.png","the ""cat""","the ""cat""",0.75,\n'
        '"new\nline.png",,<script>,1.0,\n猫.png,,,,the file is empty\n'
    )
    assert (tmp_path / "out.csv").read_bytes().decode() == expected


def test_columns_and_their_kinds_are_there_without_a_row_and_without_an_answer(tmp_path):
    for rows in ([], ROWS[2:]):
        for suffix in TABLES:
            write_rows(tmp_path / f"out{suffix}", rows, COLUMNS)
        schema = pyarrow.parquet.read_schema(tmp_path / "out.parquet")
        assert [str(kind) for kind in schema.types] == ["string", "string", "string", "double", "string"]
        assert (tmp_path / "out.csv").read_text().startswith(",".join(COLUMNS) + "\n")


@pytest.mark.parametrize("block", [1, 2, 4096])
def test_features_come_back_by_expert_with_nothing_for_an_unreadable_image(block, tmp_path, monkeypatch):
    monkeypatch.setattr(outputs, "BLOCK", block)
    features = np.random.default_rng(0).normal(size=(3, 5)).astype(np.float32)
    features[1] = np.nan
    for suffix in FEATURES:
        write_features(tmp_path / f"f{suffix}", iter("abc"), features, {"visual": 2, "language": 3})
    np.testing.assert_array_equal(np.load(tmp_path / "f.npy"), features)
    table = pyarrow.parquet.read_table(tmp_path / "f.parquet").to_pydict()
    assert table["image"] == ["a", "b", "c"]
    assert table["visual"] == [features[0, :2].tolist(), None, features[2, :2].tolist()]
    assert table["language"] == [features[0, 2:].tolist(), None, features[2, 2:].tolist()]


def test_features_of_no_image_are_an_empty_table(tmp_path):
    for suffix in FEATURES:
        write_features(tmp_path / f"f{suffix}", [], np.empty((0, 5), np.float32), {"visual": 2, "language": 3})
    assert np.load(tmp_path / "f.npy").shape == (0, 5)
    assert pyarrow.parquet.read_table(tmp_path / "f.parquet").column_names == ["image", "visual", "language"]


@pytest.mark.parametrize(
    "name, known, message",
    [
        ("x.xlsx", TABLES, r"x\.xlsx .*\.csv, \.jsonl or \.parquet"),
        ("x", FEATURES, r"x .*\.npy or \.parquet"),
    ],
)
def test_a_file_of_another_kind_is_refused(name, known, message, tmp_path):
    with pytest.raises(UserError, match=message):
        check_suffix(tmp_path / name, known)


def test_parquet_without_its_library_is_refused_with_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UserError, match=r'pip install "lptpp\[parquet\]"'):
        check_suffix(tmp_path / "x.parquet", TABLES)
    check_suffix(tmp_path / "x.csv", TABLES)
