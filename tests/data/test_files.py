import pickle
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from lptpp.data import content
from lptpp.data.content import MISSING, stamp, stamps_of
from lptpp.data.dataset import Split
from lptpp.data.files import Files, concatenated, runs

NAMES = ["a/1.png", "a/ü.png", "b/x y.jpg", "b/\udcff.png"]  # the last is no UTF-8


@pytest.mark.parametrize("base", ["", "photos/", "/data/ä/"])
def test_files_are_a_sequence_of_paths(base: str) -> None:
    files, paths = Files.of([base + name for name in NAMES], base), [Path(base + name) for name in NAMES]
    assert list(files) == paths == [files[i] for i in range(4)]
    assert files[-1] == paths[-1] and files[1:3] == paths[1:3]
    assert files == paths and files != paths[:3] and files != [*paths[:3], Path("other")]
    assert files.take(np.array([2, 0])).take(np.array([1])) == [paths[0]]
    assert pickle.loads(pickle.dumps(files)) == paths
    with pytest.raises(IndexError):
        files[4]


def test_files_are_joined_and_packed() -> None:
    one, other = Files.of(["d/1", "d/22"], "d/"), Files.in_folder("d/é/", ["3", "4ü"], "d/").take(np.array([1]))
    joined = concatenated([one, other, one.take(np.array([], int))])
    assert joined == [Path("d/1"), Path("d/22"), Path("d/é/4ü")]
    assert joined.rows is None


def test_a_split_shares_the_text_of_its_paths() -> None:
    split = Split(Files.of(NAMES[:3]), np.array([0, 1, 0]))
    part = split.subset(np.array([2, 1]))
    assert isinstance(part.images, Files) and part.images.text is split.images.text
    assert part.labels.tolist() == [0, 1] and part.name(0) == "b/x y.jpg"


def test_a_path_takes_less_than_100_bytes() -> None:
    files = Files.of([f"photos/train/n{i // 100:08}/n{i // 100:08}_{i}.JPEG" for i in range(5000)], "photos/")
    some = files.take(np.arange(0, 5000, 2))
    assert len(files.text) + files.ends.nbytes + some.rows.nbytes < 60 * 5000


def test_stamps_of_files_are_those_of_their_paths(tmp_path: Path) -> None:
    for name in ("1.png", "ü.png"):
        (tmp_path / name).write_bytes(name.encode())
    files = Files.of([f"{tmp_path}/{name}" for name in ("1.png", "gone.png", "ü.png", "1.png")], f"{tmp_path}/")
    for some in (files, files.take(np.array([3, 1, 0]))):
        assert stamps_of(some).tolist() == [list(stamp(path)) for path in some]
    assert stamps_of(files)[1].tolist() == list(MISSING)


def test_a_file_of_many_rows_is_looked_up_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "1.png").write_bytes(b"1")
    looked_up, stamps = list[Path](), content._stamps
    monkeypatch.setattr(content, "_stamps", lambda some: looked_up.extend(some) or stamps(some))
    files = Files.of([f"{tmp_path}/{name}.png" for name in (1, 2, 2, 1)] * 30, f"{tmp_path}/")
    assert stamps_of(files).tolist() == [list(stamp(path)) for path in files]
    assert sorted(looked_up) == [tmp_path / "1.png", tmp_path / "2.png"]


@pytest.mark.parametrize("names", [[], ["a"], NAMES, ["a", "b/c", "a", "", "bb"], [f"{i}/{i:05}" for i in range(300)]])
def test_a_table_has_the_texts_of_the_paths(names: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lptpp.data.files.CHUNK", 7)
    files = Files.of(names)
    for some in (files, files.take(np.arange(len(names))[::-2])):
        table = some.table()
        assert some.packed() == list(some)
        assert table is not None and table.tolist() == list(some.names())
        order, starts = runs(table)
        assert order.tolist() == sorted(range(len(some)), key=table.tolist().__getitem__)
        ordered = table[order].tolist()
        assert starts.tolist() == [i for i in range(len(some)) if not i or ordered[i] != ordered[i - 1]]


def test_texts_of_very_different_lengths_have_no_table() -> None:
    assert Files.of(["a"] * 9 + ["b" * 100]).table() is None
    assert Files.of(["a\0", "a"]).table() is None


def test_sizes_of_any_number_of_bytes_fit_in_a_stamp() -> None:
    found = stamps_of([SimpleNamespace(stamp=(2**33 + 5, 7)), SimpleNamespace(stamp=(2**31 - 1, 7))])
    assert found.tolist() == [[5, 7], [2**31 - 1, 7]]
