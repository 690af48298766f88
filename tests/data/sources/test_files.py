from pathlib import Path

import pytest

from lptpp.data.dataset import Encoded
from lptpp.data.sources.columns import Nothing
from lptpp.data.sources.files import beside, matching, read_json, read_text, refuse_all_missing
from lptpp.utils.errors import UserError


def test_text_with_a_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("é 1\r\n".encode("utf-8-sig"))
    assert read_text(tmp_path / "a.txt", "a list") == "é 1\n"


def test_refuses_what_is_not_there_or_not_text(tmp_path: Path) -> None:
    messages = r"a\.txt is not a file: it is needed as the names; .* holds none like it\.$"
    with pytest.raises(UserError, match=messages):
        read_text(tmp_path / "a.txt", "the names")
    (tmp_path / "a.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="not UTF-8"):
        read_text(tmp_path / "a.txt", "the names")


def test_refuses_broken_json_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"a": 1,\n"b" 2}')
    with pytest.raises(UserError, match=r"a\.json line 2 is not JSON"):
        read_json(tmp_path / "a.json", "a list")


def test_a_missing_file_is_told_with_its_neighbours(tmp_path: Path) -> None:
    for name in ("birds.csv", "woodlands.CSV", "birds.jpg", "names.txt"):
        (tmp_path / name).touch()
    (tmp_path / "brds.csv").mkdir()  # no file
    with pytest.raises(UserError, match=r"brds\.csv is no file, here or in .*: did you mean birds\.csv\?$"):
        matching("brds.csv", tmp_path)
    with pytest.raises(UserError, match=r"name\.txt is not a file: it is needed as names; did you mean names\.txt\?$"):
        read_text(tmp_path / "name.txt", "names")
    assert beside(tmp_path / "x.csv") == "known are birds.csv, woodlands.CSV"
    assert beside(tmp_path / "birds.cvs") == "did you mean birds.csv or birds.jpg?"
    assert beside(tmp_path / "x") == f"{tmp_path} holds none like it."
    assert beside(tmp_path / "gone" / "x.csv") == f"there is no folder {tmp_path / 'gone'}."
    assert beside(tmp_path / "x", tmp_path / "gone" / "x") == f"{tmp_path} holds none like it."
    assert beside(tmp_path / "gone" / "woodland.csv", tmp_path / "woodland.csv") == "did you mean woodlands.CSV?"


def test_a_list_of_which_nothing_is_there_is_refused(tmp_path: Path) -> None:
    places = [(f"list line {i}", tmp_path / f"{i}.png") for i in range(3)]
    first = f"list line 0: {tmp_path}/0.png and 2 more"
    with pytest.raises(UserError) as error:
        refuse_all_missing(places)
    assert str(error.value) == f"None of the 3 listed images is there ({first}): correct data.root or the paths."
    with pytest.raises(UserError, match="None of the 3 listed images is there"):
        refuse_all_missing([("row 1", Nothing("row 1")), *places])
    (tmp_path / "2.png").touch()
    refuse_all_missing(places)
    refuse_all_missing([])
    refuse_all_missing([*places[:2], ("list line 9", Encoded(b"", "list line 9"))])
