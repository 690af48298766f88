import re
from pathlib import Path

import pytest

from lptpp.data.check import check_images
from lptpp.data.dataset import ImageDataset
from lptpp.data.sources.image_list import image_list
from lptpp.utils.errors import UserError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ["a.png", "with space.png", "deep/c.png", "d.png"]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "train.txt").write_text("# a comment\na.png 0\n\nwith space.png\t 2 \ndeep/c.png 1\n")
    (tmp_path / "test.txt").write_text("d.png 1\n")
    (tmp_path / "names.txt").write_text("ant\nred bee\ncat\n\n")
    return tmp_path


def read(root: Path, test: float = 0.0, **changes: str | None) -> ImageDataset:
    files: dict[str, str | None] = {
        "train_list": "train.txt",
        "test_list": "test.txt",
        "class_names": "names.txt",
    }
    files = {key: name and str(root / name) for key, name in ({"validation_list": None} | files | changes).items()}
    return image_list(root=str(root), test=test, split_seed=0, **files)  # type: ignore[arg-type]


def refused(root: Path, **changes: str | None) -> str:
    with pytest.raises(UserError) as error:
        read(root, **changes)
    return str(error.value)


def test_reads_paths_labels_and_names(root: Path) -> None:
    whole = read(root, validation_list="test.txt")
    assert whole.class_names == ["ant", "red bee", "cat"]
    assert whole.train.images == [root / "a.png", root / "with space.png", root / "deep/c.png"]
    assert whole.train.labels.tolist() == [0, 2, 1]
    assert whole.test is not None
    assert whole.validation is not None
    assert whole.test.images == whole.validation.images == [root / "d.png"]
    assert whole.test.labels.tolist() == [1]


def test_numbered_names_reach_the_largest_label_of_any_list(root: Path) -> None:
    (root / "test.txt").write_text("d.png 4")
    assert read(root, class_names=None).class_names == [f"class {i}" for i in range(5)]


def test_draws_a_test_split_without_a_test_list(root: Path) -> None:
    (root / "train.txt").write_text("a.png 0\nd.png 0\ndeep/c.png 1\nwith space.png 2")
    whole = read(root, test=0.5, test_list=None)
    assert whole.test is not None
    assert (len(whole.train), whole.test.labels.tolist()) == (3, [0])


@pytest.mark.parametrize("row", ["a.png", "a.png cat", "a.png -1", "a.png 1.5", "a.png,1", "7"])
def test_refuses_a_row_that_is_not_a_path_and_a_label(root: Path, row: str) -> None:
    (root / "train.txt").write_text(f"a.png 0\n\n{row}\n")
    assert f"train.txt line 3 is '{row}'" in refused(root)


def test_refuses_a_label_without_a_name(root: Path) -> None:
    (root / "test.txt").write_text("a.png 0\nd.png 3\n")
    assert "test.txt line 2 has label 3, expected 0 to 2" in refused(root)


def test_a_missing_image_is_unreadable(root: Path) -> None:
    (root / "train.txt").write_text("a.png 0\nnone.png 1\n")
    (root / "test.txt").write_text("# x\ngone.png 1\n")
    splits = read(root).splits()
    with pytest.raises(UserError) as error:
        check_images(splits)
    for name in ("none.png", "gone.png"):
        assert f"{root / name}: cannot be read: file not found" in str(error.value)
    (root / "train.txt").write_text("none.png 0\n")
    named = f"2 listed images exists ({root / 'train.txt'} line 1: {root / 'none.png'} and 1 more)"
    assert named in refused(root)


def test_refuses_missing_and_empty_lists(root: Path) -> None:
    assert "gone.txt" in refused(root, train_list="gone.txt")
    assert "gone.txt" in refused(root, class_names="gone.txt")
    (root / "test.txt").write_text("# nothing\n\n")
    assert "test.txt" in refused(root)


def test_refuses_empty_and_duplicate_names_with_their_lines(root: Path) -> None:
    (root / "names.txt").write_text("ant\n\ncat\n")
    assert re.search(r"names\.txt line 2 .*class 1", refused(root))
    (root / "names.txt").write_text("ant\nbee\nant\n")
    assert re.search(r"names\.txt lines 1 and 3 .*'ant'", refused(root))
    (root / "names.txt").write_text("")
    assert "names.txt line 1 " in refused(root)


def test_lists_may_be_relative_to_root(root: Path) -> None:
    found = image_list(
        root=str(root),
        train_list="train.txt",
        validation_list=None,
        test_list="test.txt",
        class_names="names.txt",
        test=0.0,
        split_seed=0,
    )
    assert found.class_names == ["ant", "red bee", "cat"]
    assert len(found.train) == 3


def test_a_list_that_changed_is_read_again(root: Path) -> None:
    before = read(root)
    assert read(root).train.images.text is before.train.images.text  # type: ignore[attr-defined]
    with (root / "train.txt").open("a") as file:
        file.write("d.png 2\n")
    assert len(read(root).train) == len(before.train) + 1
