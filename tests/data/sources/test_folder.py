import unicodedata
from pathlib import Path

import pytest

from lptpp.data.sources.folder import folder
from lptpp.data.sources.walk import walk
from lptpp.utils.errors import UserError


def create(root: Path, *names: str) -> str:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return str(root)


def names_of(split: object) -> list[str]:
    return [path.name for path in split.images]  # type: ignore[attr-defined]


def test_class_folders_in_natural_order(tmp_path: Path) -> None:
    root = create(tmp_path, "class 10/a.png", "class 2/b.png", "Äpfel grün/c d.png", "apple/e.png")
    whole = folder(root, test=0.0, split_seed=0)
    assert whole.class_names == ["apple", "class 2", "class 10", "Äpfel grün"]
    assert names_of(whole.train) == ["e.png", "b.png", "a.png", "c d.png"]
    assert whole.train.labels.tolist() == [0, 1, 2, 3]
    assert whole.test is None


def test_image_suffixes_nested_folders_hidden_and_other_files(tmp_path: Path) -> None:
    seen = ["a/1.PNG", "a/2.jpg", "a/deep/er/3.Jpeg", "a/4.webp", "a/5.bmp", "a/6.tif", "a/7.TIFF", "a/8.gif"]
    unseen = ["a/notes.txt", "a/.9.png", "a/.cache/10.png", ".git/11.png", "readme.md", "a/Thumbs.db"]
    root = create(tmp_path, *seen, *unseen, "b/12.ppm")
    whole = folder(root, test=0.0, split_seed=0)
    assert whole.class_names == ["a", "b"]
    assert set(whole.train.images) == {tmp_path / name for name in [*seen, "b/12.ppm"]}


def test_walk_is_natural_and_ignores_a_hidden_parent(tmp_path: Path) -> None:
    create(tmp_path / ".hidden", "10.png", "9.png")
    assert [path.name for path in walk(tmp_path / ".hidden").images] == ["9.png", "10.png"]


def test_draws_a_missing_test_split(tmp_path: Path) -> None:
    root = create(tmp_path, *(f"{c}/{i}.png" for c in "ab" for i in range(10)), "c/0.png")
    whole = folder(root, test=0.3, split_seed=0)
    assert whole.test is not None
    assert whole.test.counts(3).tolist() == [3, 3, 0]
    assert whole.counts().tolist() == [7, 7, 1]
    assert not set(whole.test.images) & set(whole.train.images)


@pytest.mark.parametrize("name", ["val", "valid", "validation", "Validation"])
def test_split_folders(tmp_path: Path, name: str) -> None:
    root = create(tmp_path, "train/a/1.png", "train/b/2.png", f"{name}/b/3.png", "test/c/4.png", "extra/x/5.png")
    whole = folder(root, test=0.5, split_seed=0)
    assert whole.class_names == ["a", "b", "c"]
    assert whole.counts().tolist() == [1, 1, 0]
    assert whole.validation is not None
    assert whole.test is not None
    assert (names_of(whole.validation), whole.validation.labels.tolist()) == (["3.png"], [1])
    assert (names_of(whole.test), whole.test.labels.tolist()) == (["4.png"], [2])


def test_split_folders_without_test_draw_one_from_train(tmp_path: Path) -> None:
    root = create(tmp_path, *(f"train/{c}/{i}.png" for c in "ab" for i in range(4)), "val/a/9.png")
    whole = folder(root, test=0.5, split_seed=0)
    assert whole.test is not None
    assert whole.test.counts(2).tolist() == [2, 2]


def refused(root: str) -> str:
    with pytest.raises(UserError) as error:
        folder(root, test=0.2, split_seed=0)
    return str(error.value)


def test_refuses_a_missing_root(tmp_path: Path) -> None:
    assert "none does not exist" in refused(str(tmp_path / "none"))


def test_refuses_empty_class_folders_by_name(tmp_path: Path) -> None:
    root = create(tmp_path, "a/1.png", "b/2.png", "c/notes.txt", "d/.hidden.png")
    message = refused(root)
    assert message.startswith("There is no image in the class folders ")
    assert f"{tmp_path / 'c'} (1 .txt), {tmp_path / 'd'} (1 hidden)" in message


def test_refuses_too_few_classes(tmp_path: Path) -> None:
    assert "class folders" in refused(create(tmp_path, "1.png"))
    assert "(a)" in refused(create(tmp_path, "a/1.png"))


@pytest.mark.parametrize("twin", ["CAFÉ", "cafe\u0301"])
def test_refuses_names_that_differ_in_case_or_unicode_form_only(tmp_path: Path, twin: str) -> None:
    root = create(tmp_path, "café/1.png", f"{twin}/2.png", "b/3.png")
    if len(list(tmp_path.iterdir())) < 3:
        pytest.skip("the file system does not distinguish the two names")
    assert all(name in refused(root) for name in ("café", twin))


def test_class_names_are_composed(tmp_path: Path) -> None:
    whole = folder(create(tmp_path, "cafe\u0301/1.png", "b/2.png"), test=0.0, split_seed=0)
    assert whole.class_names == ["b", unicodedata.normalize("NFC", "café")]


def test_refuses_ambiguous_split_folders(tmp_path: Path) -> None:
    create(tmp_path, "test/a/1.png", "test/b/2.png")
    assert "no train" in refused(str(tmp_path))
    create(tmp_path, "train/a/1.png", "train/b/2.png", "val/a/1.png", "validation/a/1.png")
    assert f"{tmp_path}/val, {tmp_path}/validation" in refused(str(tmp_path))


def test_refuses_a_split_without_class_folders(tmp_path: Path) -> None:
    root = create(tmp_path, "train/a/1.png", "train/b/2.png", "test/3.png")
    assert f"{tmp_path / 'test'} has no class folders" in refused(root)
