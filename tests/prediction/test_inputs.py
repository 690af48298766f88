import io
import os
from pathlib import Path
from types import SimpleNamespace

import pyarrow
import pyarrow.parquet
import pytest
from PIL import Image

from lptpp.data.sources import walk
from lptpp.prediction.inputs import Input, expand, file_state
from lptpp.utils import natural
from lptpp.utils.errors import UserError
from lptpp.utils.paths import natural_key, refuse_no_input


def drawn(kind: str) -> bytes:
    """An image file."""
    file = io.BytesIO()
    Image.new("RGB", (4, 4)).save(file, kind)
    return file.getvalue()


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """The working folder, with pictures (empty files) and a folder of them."""
    for name in ("b.jpg", "photos/a 10.png", "photos/a 2.png", "photos/deep/c.JPG", "photos/notes.md", "photos/.d.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def expanded(*paths: str, column: str | None = None) -> list[Input]:
    return list(expand(map(Path, paths), column))


def names(*paths: str, column: str | None = None) -> list[str]:
    return [one.name for one in expanded(*paths, column=column)]


def test_files_and_folders_are_expanded_in_the_order_given(folder):
    in_photos = ["photos/a 2.png", "photos/a 10.png", "photos/deep/c.JPG"]
    assert names("photos", "b.jpg", "photos") == [*in_photos, "b.jpg", *in_photos]
    assert expanded("photos/notes.md") == [Input("photos/notes.md", "photos/notes.md")]  # its row gives the reason


def test_a_glob_stands_for_the_files_it_matches_in_natural_order(folder):
    assert names("photos/*.png") == ["photos/a 2.png", "photos/a 10.png"]
    assert names("photos/**") == ["photos/a 2.png", "photos/a 10.png", "photos/deep/c.JPG", "photos/notes.md"]
    assert names(f"{folder}/p*/deep/?.JPG") == [f"{folder}/photos/deep/c.JPG"]


@pytest.mark.parametrize("block", [1, 3, 1000])
def test_a_folder_of_any_size_has_the_order_of_whole_paths(block, folder, monkeypatch):
    for name in ("a", "A", "a-b", "a 10", "a 9", "9", "a/c"):
        for inner in ("x 10.png", "x 9.png", "X.png", "x-1.JPG", "no.txt"):
            (folder / "photos" / name / inner).parent.mkdir(parents=True, exist_ok=True)
            (folder / "photos" / name / inner).touch()
    expected = [str(path) for path in walk.walk(Path("photos")).images]
    for module in (natural, walk):
        monkeypatch.setattr(module, "BLOCK", block)
    assert names("photos") == names("photos/") == expected
    assert len(expected) == 31
    found = [str(path.relative_to(folder)) for path in (folder / "photos").rglob("*.*") if path.is_file()]
    assert names("photos/**/*.*") == sorted((name for name in found if "/.d" not in name), key=natural_key)


def test_a_file_whose_name_looks_like_a_glob_is_that_file(folder):
    (folder / "b[1].jpg").touch()
    (folder / "b1.jpg").touch()
    assert names("b[1].jpg") == ["b[1].jpg"]


@pytest.mark.parametrize(
    "path, message",
    [
        ("gone.png", r"gone\.png"),
        ("gone/*.png", r"gone/\*\.png"),
        ("empty", r"empty .*\.apng"),
    ],
)
def test_paths_on_the_command_line_must_exist(path, message, folder):
    (folder / "empty").mkdir()
    with pytest.raises(UserError, match=message):
        names("b.jpg", path)


def test_a_list_names_whatever_its_lines_hold_but_blank_ones(folder):
    lines = "b.jpg\r\n\n  \ngone.png\nphotos\n 'quoted' <script>,x.png\nb.jpg"
    (folder / "list.TXT").write_text(lines, encoding="utf-8-sig", newline="")
    found = ["b.jpg", "gone.png", "photos", " 'quoted' <script>,x.png", "b.jpg"]
    assert expanded("list.TXT") == [Input(name, name) for name in found]
    (folder / "list.TXT").write_bytes(b"")
    assert expanded("list.TXT") == []


def test_names_in_a_list_may_be_relative_to_its_folder(folder):
    (folder / "photos" / "list.txt").write_text("deep/c.JPG\nb.jpg\ngone.png\n")
    found = [("deep/c.JPG", "photos/deep/c.JPG"), ("b.jpg", "b.jpg"), ("gone.png", "gone.png")]
    assert expanded("photos/list.txt") == [Input(*pair) for pair in found]


def test_names_in_a_list_may_have_the_backslashes_of_windows(folder):
    (folder / "list.txt").write_text("photos\\deep\\c.JPG\n")
    assert expanded("list.txt") == [Input("photos\\deep\\c.JPG", "photos/deep/c.JPG")]
    (folder / "photos\\deep\\c.JPG").touch()  # such a name is possible outside of Windows
    assert expanded("list.txt") == [Input("photos\\deep\\c.JPG", "photos\\deep\\c.JPG")]


@pytest.mark.parametrize("line", ['"photos\\deep\\c.JPG"', '"photos/deep/c.JPG"', " photos/deep/c.JPG "])
def test_names_in_a_list_may_have_the_quotes_of_windows_and_spaces(line, folder):
    (folder / "list.txt").write_text(f"{line}\n")
    assert expanded("list.txt") == [Input(line, "photos/deep/c.JPG")]


def test_files_of_a_folder_that_are_passed_over_are_counted(folder, caplog):
    caplog.set_level("INFO", "lptpp")
    expanded("photos")
    assert caplog.messages == ["Ignored files in photos: 1 .md, 1 hidden (.d.png, notes.md)"]


def test_names_that_are_no_utf8_still_lead_to_their_files(folder):
    (folder / "list.txt").write_bytes(b"caf\xe9.png\n" + b"x" * 5000 + b"\nnul\0.png\n")
    odd = os.fsdecode(b"caf\xe9.png")
    (folder / odd).write_bytes(b"12345")
    found = expanded("list.txt")
    assert [one.name for one in found] == [odd, "x" * 5000, "nul\0.png"]
    assert file_state(found[0].path).st_size == 5
    assert file_state(found[1].path) is None and file_state(found[2].path) is None


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("an image (PNG)", drawn("PNG")),
        ("an image (JPEG)", drawn("JPEG")),
        ("an image (GIF)", drawn("GIF")),
        ("an image (TIFF)", drawn("TIFF")),
        ("an image (WebP)", drawn("WEBP")),
        ("a binary file (it contains NUL bytes)", b"a.png\0b.png\0"),
    ],
)
def test_a_list_that_is_no_text_is_refused(kind, content, folder):
    (folder / "photo.txt").write_bytes(content)
    for refuse in (names, lambda name: refuse_no_input(Path(name))):
        with pytest.raises(UserError) as caught:
            refuse("photo.txt")
        assert str(caught.value).startswith(f"photo.txt is {kind}, not a list of paths: ")


def test_a_list_in_utf16_is_refused(folder):
    (folder / "list.txt").write_text("b.jpg\n", encoding="utf-16")
    with pytest.raises(UserError, match=r"list\.txt .*UTF-16"):
        names("list.txt")


def test_standard_input_gives_a_path_a_line_among_other_paths(folder, monkeypatch):
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO("é.png\nb.jpg\n".encode())))
    assert names("b.jpg", "-", "b.jpg") == ["b.jpg", "é.png", "b.jpg", "b.jpg"]


@pytest.mark.parametrize("header", ["image", "Path", "file", "FILENAME", "file_name", "filepath", "image_path"])
def test_the_column_of_a_table_is_found_by_its_usual_names(header, folder):
    (folder / "t.csv").write_text(f"n,{header}\n1,b.jpg\n")
    assert names("t.csv") == ["b.jpg"]
    with pytest.raises(UserError, match=rf"t\.csv .*imag.*--column.*{header}"):
        names("t.csv", column="imag")


@pytest.mark.parametrize("name", ["table.csv", "table.parquet"])
def test_each_row_of_a_table_is_an_input_also_one_without_a_path(name, folder):
    rows = [("deep/c.JPG", 1), ("", 2), ('a "b", c.png', 3), ("deep/c.JPG", 4)]
    table = pyarrow.table({"n": [n for _, n in rows], "file": [path for path, _ in rows]})
    if name.endswith("csv"):
        text = 'n,file\n1,deep/c.JPG\n2,\n3,"a ""b"", c.png"\n4,deep/c.JPG\n'
        (folder / "photos" / name).write_text(text)
    else:
        pyarrow.parquet.write_table(table, folder / "photos" / name)
    found = expanded(f"photos/{name}", column="file")
    assert [one.name for one in found] == [path for path, _ in rows]
    assert [one.path for one in found] == ["photos/deep/c.JPG", "", 'a "b", c.png', "photos/deep/c.JPG"]


def test_a_null_in_a_table_is_an_input_without_a_path(folder):
    pyarrow.parquet.write_table(pyarrow.table({"image": ["b.jpg", None]}), folder / "t.parquet")
    assert names("t.parquet") == ["b.jpg", ""]


@pytest.mark.parametrize(
    "content, message",
    [
        (
            {"imag": ["b.jpg"]},
            r"t\.parquet .*image, path, .*--column.*imag",
        ),
        (
            {"image": ["a.png"], "Path": ["b.png"]},
            r"t\.parquet.*--column.*image, Path",
        ),
        ({"image": [b"123"]}, r"t\.parquet row 0: .*image .*bytes"),
        ({"image": [3]}, r"t\.parquet row 0: .*image .*int"),
    ],
)
def test_a_column_without_paths_is_refused(content, message, folder):
    pyarrow.parquet.write_table(pyarrow.table(content), folder / "t.parquet")
    with pytest.raises(UserError, match=message):
        names("t.parquet")
