from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from lptpp.data.sources.table_reader import open_table
from lptpp.utils.errors import UserError


def write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


def cells(path: Path, *columns: str) -> list[tuple[Any, ...]]:
    return [values for _, values in open_table(path).rows(columns)]


@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
def test_csv_by_any_separator(tmp_path: Path, mark: str) -> None:
    path = write(tmp_path / "a.csv", f"path{mark}label\na b.png{mark}oak\n")
    assert open_table(path).header == ["path", "label"]
    assert cells(path, "label", "path") == [("oak", "a b.png")]


def test_csv_with_a_byte_order_mark_windows_line_ends_and_quotes(tmp_path: Path) -> None:
    text = ' path , label\r\n"a, b.png","say ""oak"""\r\n\r\n"c;\nd.png",ulme\u00e9\r\n'
    path = write(tmp_path / "a.csv", text, "utf-8-sig")
    assert cells(path, "path", "label") == [("a, b.png", 'say "oak"'), ("c;\nd.png", "ulme\u00e9")]
    assert [place for place, _ in open_table(path).rows(["path"])] == [f"{path} line 2", f"{path} line 5"]


def test_semicolons_are_found_although_values_contain_commas(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", 'path;label\n1.png;"oak; red"\n2.png;3,5\n')
    assert cells(path, "label") == [("oak; red",), ("3,5",)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,label\n1.png,oak\n2.png,elm,more\n", "line 3 has 3 columns, expected 2"),
        ("path,label\n1.png\n", "line 2 has 1 columns, expected 2"),
        ('path,label\n1.png,"oak\n', "line 2 is not valid CSV"),
        ('path,label\n1.png,"oak" red\n', "line 2 is not valid CSV"),
    ],
)
def test_invalid_csv_is_refused_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    path = write(tmp_path / "a.csv", text)
    with pytest.raises(UserError) as error:
        cells(path, "path", "label")
    assert f"{path} {message}" in str(error.value)


def test_an_empty_csv_has_no_columns(tmp_path: Path) -> None:
    assert open_table(write(tmp_path / "a.csv", "")).header == []


def test_csv_in_another_encoding_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"a\.csv .*UTF-8"):
        open_table(write(tmp_path / "a.csv", "path,label\n", "utf-16"))


def test_parquet_rows_with_their_numbers(tmp_path: Path) -> None:
    path = tmp_path / "a.PQ"
    columns = {"image": [{"bytes": b"x", "path": "1.png"}] * 3, "a.b": ["p", None, "q"], "label": [1.0, None, 2.5]}
    pyarrow.parquet.write_table(pyarrow.table(columns), path, row_group_size=2)
    table = open_table(path)
    assert table.header == ["image", "a.b", "label"]
    assert list(table.rows(["label", "image"])) == [
        (f"{path} row {i}", (label, {"bytes": b"x", "path": "1.png"})) for i, label in enumerate([1.0, None, 2.5])
    ]
    assert cells(path, "a.b") == [("p",), (None,), ("q",)]


def test_the_size_of_images_in_parquet(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pictures = [bytes([i]) * 50_000 for i in range(10)]
    columns = {"bytes": pictures, "struct": [{"bytes": b, "path": "p"} for b in pictures], "path": ["p" * 9999] * 10}
    pyarrow.parquet.write_table(pyarrow.table(columns), path, use_dictionary=False, compression="zstd")
    sizes = {name: open_table(path).size(name) for name in columns}
    assert 500_000 <= sizes["bytes"] <= 501_000
    assert 500_000 <= sizes["struct"] <= 501_000
    assert sizes["path"] == 0
    assert path.stat().st_size < 100_000


def test_an_invalid_parquet_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"a\.parquet"):
        open_table(write(tmp_path / "a.parquet", "path,label\n"))
    with pytest.raises(UserError, match=r"none\.parquet"):
        open_table(tmp_path / "none.parquet")
