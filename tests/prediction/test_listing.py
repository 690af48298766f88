import os
from pathlib import Path

from lptpp.prediction.inputs import Input
from lptpp.prediction.listing import read_listing, write_listing

ODD = ["a,b.png", 'quo"te.png', "new\nline.png", "<script>.png", "猫.png", os.fsdecode(b"caf\xe9.png"), "", "gone.png"]


def test_every_input_comes_back_from_any_part_and_place_on(tmp_path):
    inputs = [Input(name, path) for name in ODD for path in (name, f"somewhere/{name}")]
    found, starts = write_listing(tmp_path / "list", iter(inputs), 3)
    assert (found["count"], len(starts)) == (16, 6)
    for place, start in enumerate(starts):
        for skip in (0, 2, 3):
            expected = inputs[3 * place + skip : 3 * place + 3]
            assert list(read_listing(tmp_path / "list", start, skip, 3)) == expected
    assert list(read_listing(tmp_path / "list")) == inputs


def test_a_name_that_is_the_path_is_kept_once(tmp_path):
    write_listing(tmp_path / "list", [Input("photos/1.jpg", "photos/1.jpg")], 1)
    assert (tmp_path / "list").read_text() == '"photos/1.jpg"\n'


def test_no_input_is_a_list_too(tmp_path):
    found = write_listing(tmp_path / "list", [], 3)
    assert (found.inputs["count"], found.starts) == (0, [])
    assert list(read_listing(tmp_path / "list")) == []


def digest(tmp_path: Path, *names: str) -> str:
    return write_listing(tmp_path / "list", [Input(name, str(tmp_path / name)) for name in names], 9).inputs["sha256"]


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
