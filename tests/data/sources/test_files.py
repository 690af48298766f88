from pathlib import Path

import pytest

from lptpp.data.dataset import EncodedImage, MissingImage
from lptpp.data.sources.files import read_json, read_text, refuse_all_missing
from lptpp.utils.errors import UserError
from lptpp.utils.paths import matching_files, suggest_files


def test_text_with_a_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("é 1\r\n".encode("utf-8-sig"))
    assert read_text(tmp_path / "a.txt", "a list") == "é 1\n"


def test_refuses_what_is_not_there_or_not_text(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"a\.txt .*the names"):
        read_text(tmp_path / "a.txt", "the names")
    (tmp_path / "a.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match=r"a\.txt .*UTF-8"):
        read_text(tmp_path / "a.txt", "the names")


def test_refuses_broken_json_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"a": 1,\n"b" 2}')
    with pytest.raises(UserError, match=r"a\.json line 2 .*JSON"):
        read_json(tmp_path / "a.json", "a list")


def test_similar_files_are_suggested(tmp_path: Path) -> None:
    for name in ("birds.csv", "woodlands.CSV", "birds.jpg", "names.txt"):
        (tmp_path / name).touch()
    (tmp_path / "brds.csv").mkdir()  # no file
    with pytest.raises(UserError, match=r"brds\.csv .*: did you mean birds\.csv\?$"):
        matching_files("brds.csv", tmp_path)
    with pytest.raises(UserError, match=r"name\.txt .*: did you mean names\.txt\?$"):
        read_text(tmp_path / "name.txt", "names")
    assert suggest_files(tmp_path / "x.csv") == f"{tmp_path} has birds.csv, woodlands.CSV."
    assert suggest_files(tmp_path / "birds.cvs") == "did you mean birds.csv or birds.jpg?"
    assert suggest_files(tmp_path / "x") == f"{tmp_path} has no similar file."
    assert suggest_files(tmp_path / "gone" / "x.csv") == f"the folder {tmp_path / 'gone'} does not exist."
    assert suggest_files(tmp_path / "x", tmp_path / "gone" / "x") == f"{tmp_path} has no similar file."
    assert suggest_files(tmp_path / "gone" / "woodland.csv", tmp_path / "woodland.csv") == "did you mean woodlands.CSV?"


def test_a_list_without_any_existing_file_is_refused(tmp_path: Path) -> None:
    places = [(f"list line {i}", tmp_path / f"{i}.png") for i in range(3)]
    first = f"list line 0: {tmp_path}/0.png and 2 more"
    with pytest.raises(UserError) as error:
        refuse_all_missing(places)
    assert f"3 listed images exists ({first})" in str(error.value)
    assert "data.root" in str(error.value)
    with pytest.raises(UserError, match="3 listed images"):
        refuse_all_missing([("row 1", MissingImage("row 1")), *places])
    (tmp_path / "2.png").touch()
    refuse_all_missing(places)
    refuse_all_missing([])
    refuse_all_missing([*places[:2], ("list line 9", EncodedImage(b"", "list line 9"))])
