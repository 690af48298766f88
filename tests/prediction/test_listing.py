import hashlib
import os
from pathlib import Path

from lptpp.prediction.inputs import Input, read_listing, write_listing

ODD = ["a,b.png", 'quo"te.png', "new\nline.png", "<script>.png", "猫.png", os.fsdecode(b"caf\xe9.png"), "", "gone.png"]


def test_every_input_comes_back_from_any_place_on(tmp_path):
    inputs = [Input(name, f"somewhere/{name}") for name in ODD]
    found = write_listing(tmp_path / "list", iter(inputs))
    assert found == {"count": 8, "sha256": hashlib.sha256((tmp_path / "list").read_bytes()).hexdigest()}
    for start in (0, 3, 8):
        assert list(read_listing(tmp_path / "list", start)) == inputs[start:]


def test_no_input_is_a_list_too(tmp_path):
    assert write_listing(tmp_path / "list", [])["count"] == 0
    assert list(read_listing(tmp_path / "list", 0)) == []


def digest(tmp_path: Path, *names: str) -> str:
    return write_listing(tmp_path / "list", [Input(name, str(tmp_path / name)) for name in names])["sha256"]


def test_the_digest_changes_with_names_order_content_and_presence(tmp_path):
    (tmp_path / "a").write_text("1")
    (tmp_path / "b").write_text("1")
    seen = [digest(tmp_path, "a", "b"), digest(tmp_path, "b", "a"), digest(tmp_path, "a", "b", "b")]
    assert digest(tmp_path, "a", "b") == seen[0]
    (tmp_path / "a").write_text("12")
    seen.append(digest(tmp_path, "a", "b"))
    os.utime(tmp_path / "a", ns=(0, 0))
    seen.append(digest(tmp_path, "a", "b"))
    (tmp_path / "a").unlink()
    seen.append(digest(tmp_path, "a", "b"))
    assert len(set(seen)) == 6
