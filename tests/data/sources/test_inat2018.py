import json
import re
from pathlib import Path
from typing import Any

import pytest

from lptpp.data.sources.inat2018 import inat2018
from lptpp.utils.errors import UserError

CATEGORIES = [{"id": 30, "name": "2"}, {"id": 10, "name": "0"}, {"id": 20, "name": "1"}]


def listing(*rows: tuple[int, str, int]) -> dict[str, Any]:
    return {
        "images": [{"id": number, "file_name": name} for number, name, _ in rows],
        "annotations": [{"image_id": number, "category_id": category} for number, _, category in reversed(rows)],
        "categories": CATEGORIES,
    }


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "pictures").mkdir()
    for name in "abc":
        (tmp_path / "pictures" / f"{name}.jpg").touch()
    write(tmp_path, "train2018.json", listing((5, "pictures/a.jpg", 30), (6, "pictures/b.jpg", 10)))
    write(tmp_path, "val2018.json", listing((9, "pictures/c.jpg", 20)))
    return tmp_path


def write(root: Path, name: str, value: Any) -> None:
    (root / name).write_text(json.dumps(value))


def refused(root: Path) -> str:
    with pytest.raises(UserError) as error:
        inat2018(str(root), None, None)
    return str(error.value)


def test_reads_lists_and_ranks_category_ids(root: Path) -> None:
    whole = inat2018(str(root), None, None)
    assert whole.class_names == ["0", "1", "2"]
    assert whole.train.images == [root / "pictures/a.jpg", root / "pictures/b.jpg"]
    assert whole.train.labels.tolist() == [2, 0]
    assert whole.validation is None
    assert whole.test is not None
    assert whole.test.labels.tolist() == [1]


def test_real_names_from_categories_json(root: Path) -> None:
    names = {10: "Abies alba", 20: "Ursus arctos", 30: "Apis mellifera"}
    write(root, "categories.json", [{"id": number, "name": name} for number, name in names.items()])
    assert inat2018(str(root), None, None).class_names == list(names.values())


def test_lists_may_be_elsewhere(root: Path) -> None:
    other = root / "other.json"
    (root / "val2018.json").rename(other)
    whole = inat2018(str(root), str(root / "train2018.json"), str(other))
    assert whole.test is not None
    assert whole.test.images == [root / "pictures/c.jpg"]


def test_refuses_missing_files(root: Path) -> None:
    for path in (root / "pictures").iterdir():
        path.unlink()
    assert "listed images" in refused(root)
    (root / "val2018.json").unlink()
    assert "val2018.json" in refused(root)


def test_refuses_inconsistent_lists(root: Path) -> None:
    write(root, "val2018.json", listing((9, "pictures/c.jpg", 77)))
    assert re.search(r"val2018\.json.* image 9 .*77", refused(root))
    write(root, "val2018.json", listing((9, "pictures/c.jpg", 20)) | {"annotations": []})
    assert re.search(r"val2018\.json .*annotation.* image 9", refused(root))
    write(root, "val2018.json", {"images": []})
    assert "val2018.json lacks the field 'annotations'" in refused(root)
    write(root, "train2018.json", [1, 2])
    assert "train2018.json lacks the field 'categories'" in refused(root)
