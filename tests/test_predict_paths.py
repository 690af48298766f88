import csv
from pathlib import Path

import pyarrow.parquet
import pytest
from PIL import Image

from lptpp.errors import UserError
from lptpp.predict_paths import expand, predict_paths

MESSY = ("a.png", "b.jpg", "c.png")


@pytest.fixture
def messy(pictures, tmp_path) -> Path:
    """A folder with a good picture, a broken one, a huge one, and a text that is no picture."""
    folder = tmp_path / "messy"
    folder.mkdir()
    (folder / "a.png").write_bytes((pictures / "test" / "apple" / "0.png").read_bytes())
    (folder / "b.jpg").write_bytes(b"no picture")
    Image.new("1", (6000, 5000)).save(folder / "c.png")
    (folder / "notes.md").touch()
    return folder


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_every_image_gets_a_row_and_an_unreadable_one_its_reason(trained, messy, tmp_path):
    rows, faults = predict_paths(trained.folder, [messy], tmp_path / "out.csv", top_k=2)
    found = read(tmp_path / "out.csv")
    assert faults == 2
    assert [row["image"] for row in found] == [row["image"] for row in rows] == [str(messy / n) for n in MESSY]
    assert list(found[0]) == ["image", "label_1", "probability_1", "label_2", "probability_2", "error"]
    assert found[0]["label_1"] in ("apple", "bear", "car", "dog")
    assert found[0]["error"] == ""
    assert found[1] | {"image": ""} == dict.fromkeys(found[1], "") | {"error": found[1]["error"]}
    assert found[1]["error"] == "cannot be read: not a picture in a format that Pillow knows"
    assert found[2]["error"] == "has 30.0 megapixels, more than 25"


def test_the_order_of_the_rows_is_that_of_the_paths(trained, pictures, tmp_path):
    images = [pictures / "test" / "dog" / "1.png", tmp_path / "gone.png", pictures / "test" / "apple" / "2.png"]
    (tmp_path / "list.txt").write_text("\n".join(map(str, images)) + "\n\n", encoding="utf-8-sig")
    rows, faults = predict_paths(trained.folder, [tmp_path / "list.txt", images[0]], tmp_path / "out.csv", top_k=1)
    assert [row["image"] for row in rows] == [*map(str, images), str(images[0])]
    assert [row["error"] for row in rows] == ["", "cannot be read: there is no such file", "", ""]
    assert faults == 1
    assert rows[0] == rows[3]


def test_parquet_holds_what_csv_holds(trained, messy, tmp_path):
    predict_paths(trained.folder, [messy], tmp_path / "out.csv", top_k=3)
    predict_paths(trained.folder, [messy], tmp_path / "deep" / "er" / "out.parquet", top_k=3)
    table = pyarrow.parquet.read_table(tmp_path / "deep" / "er" / "out.parquet").to_pylist()
    texts = [{key: "" if value is None else str(value) for key, value in row.items()} for row in table]
    assert texts == read(tmp_path / "out.csv")


def test_images_that_are_all_unreadable_still_make_a_table(trained, messy, tmp_path):
    for name in ("out.csv", "out.parquet"):
        rows, faults = predict_paths(trained.folder, [messy / "b.jpg"], tmp_path / name, top_k=9)
        assert (len(rows), faults, rows[0]["label_4"]) == (1, 1, None)
        assert "label_5" not in rows[0]  # there are four classes


def test_no_image_in_a_list_makes_an_empty_table(trained, tmp_path):
    (tmp_path / "list.txt").touch()
    for name in ("out.csv", "out.parquet"):
        assert predict_paths(trained.folder, [tmp_path / "list.txt"], tmp_path / name, top_k=1) == ([], 0)
        assert (tmp_path / name).is_file()


def test_another_file_ending_is_refused_before_anything_is_done(tmp_path):
    with pytest.raises(UserError, match=r"out\.xlsx should end in \.csv or \.parquet"):
        predict_paths(tmp_path / "no run", [tmp_path], tmp_path / "out.xlsx", top_k=1)


def test_folders_lists_and_files_are_expanded_in_order(messy, tmp_path):
    (tmp_path / "list.TXT").write_text("x.png\r\nfolder/y z.jpg\r\n")
    found = list(expand([messy / "b.jpg", tmp_path / "list.TXT", messy]))
    assert found == [messy / "b.jpg", Path("x.png"), Path("folder/y z.jpg"), *(messy / name for name in MESSY)]


def test_a_path_that_leads_to_nothing_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"gone\.png does not exist"):
        list(expand([tmp_path / "gone.png"]))
    with pytest.raises(UserError, match=r"holds no image: expected files ending in \.apng, "):
        list(expand([tmp_path]))
