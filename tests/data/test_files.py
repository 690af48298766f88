from pathlib import Path

import pytest

from lptpp.data.files import read_json, read_text, refuse_missing
from lptpp.errors import UserError


def test_text_with_a_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("é 1\r\n".encode("utf-8-sig"))
    assert read_text(tmp_path / "a.txt", "a list") == "é 1\n"


def test_refuses_what_is_not_there_or_not_text(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"a\.txt is not a file: it is needed as the names"):
        read_text(tmp_path / "a.txt", "the names")
    (tmp_path / "a.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="not UTF-8"):
        read_text(tmp_path / "a.txt", "the names")


def test_refuses_broken_json_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"a": 1,\n"b" 2}')
    with pytest.raises(UserError, match=r"a\.json line 2 is not JSON"):
        read_json(tmp_path / "a.json", "a list")


def test_missing_images_are_counted_and_five_named(tmp_path: Path) -> None:
    (tmp_path / "there.png").touch()
    refuse_missing([("list line 1", tmp_path / "there.png")])
    places = [(f"list line {i}", tmp_path / f"{i}.png") for i in range(1, 8)]
    with pytest.raises(UserError) as error:
        refuse_missing([("list line 0", tmp_path / "there.png"), *places])
    message = str(error.value)
    assert message.startswith("7 listed image(s) are missing: list line 1: ")
    assert "5.png and 2 more" in message
    assert "6.png" not in message
