import threading
from pathlib import Path

import numpy as np
import pytest

from lptpp.data import check
from lptpp.data.check import check_images, map_in_threads
from lptpp.data.dataset import Split
from lptpp.data.decode import Decoding
from lptpp.utils.errors import UserError
from tests.data.test_cache import files


def test_results_are_in_order_and_progress_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "CHUNK", 3)
    calls: list[tuple[int, int]] = []
    found = map_in_threads(lambda i: i * i, range(8), lambda done, total: calls.append((done, total)))
    assert list(found) == [i * i for i in range(8)]
    assert calls == [(i, 8) for i in range(1, 9)]
    assert list(map_in_threads(str, [])) == []


def test_an_error_stops_the_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "CHUNK", 50)
    started: list[int] = []

    def work(i: int) -> int:
        started.append(i)
        if i == 2:
            raise KeyboardInterrupt
        return i

    with pytest.raises(KeyboardInterrupt):
        list(map_in_threads(work, range(1000)))
    assert max(started) < 50


def test_items_are_processed_in_parallel() -> None:
    both = threading.Barrier(2, timeout=20)
    assert sorted(map_in_threads(lambda _: both.wait(), [0, 1])) == [0, 1]


def spoil(split: Split, *indices: int) -> None:
    for i in indices:
        Path(str(split.images[i])).write_text("no image")


def test_check_of_readable_images_returns_them_and_reports_progress(tmp_path: Path) -> None:
    splits = {"train": files(tmp_path / "a", [1, 2, 3]), "test": files(tmp_path / "b", [4, 5])}
    calls: list[tuple[int, int]] = []
    readable, unreadable = check_images(splits, progress=lambda done, total: calls.append((done, total)))
    assert {name: split.images for name, split in readable.items()} == {n: s.images for n, s in splits.items()}
    assert unreadable == []
    assert calls == [(i, 5) for i in range(1, 6)]


def test_check_names_all_unreadable_images_at_once(tmp_path: Path) -> None:
    splits = {"train": files(tmp_path / "a", [1, 2, 3]), "test": files(tmp_path / "b", [4, 5])}
    spoil(splits["train"], 0, 2)
    spoil(splits["test"], 1)
    with pytest.raises(UserError) as error:
        check_images(splits)
    lines = str(error.value).split("\n")
    assert lines[0].startswith("3 ")
    assert "data.on_error=skip" in lines[0]
    assert [line.split(": ")[0] for line in lines[1:]] == [
        str(tmp_path / name) for name in ("a/0.png", "a/2.png", "b/1.png")
    ]


def test_check_lists_fifty_unreadable_images_at_most(tmp_path: Path) -> None:
    split = Split([tmp_path / f"{i}.png" for i in range(53)], np.zeros(53))
    with pytest.raises(UserError) as error:
        check_images({"train": split})
    lines = str(error.value).split("\n")
    assert len(lines) == 1 + 50 + 1
    assert lines[-1] == "and 3 more"


def test_check_skips_unreadable_images(tmp_path: Path) -> None:
    splits = {"train": files(tmp_path / "a", [1, 2, 3]), "test": files(tmp_path / "b", [4, 5])}
    spoil(splits["train"], 1)
    readable, unreadable = check_images(splits, on_error="skip")
    assert unreadable == [
        (str(tmp_path / "a/1.png"), "cannot be read: not in a supported image format"),
    ]
    assert readable["train"].images == [tmp_path / "a/0.png", tmp_path / "a/2.png"]
    assert readable["train"].counts(2).tolist() == [2, 0]
    assert readable["test"].images == splits["test"].images


def test_check_applies_the_size_limit(tmp_path: Path) -> None:
    big = files(tmp_path, [1], size=300)
    with pytest.raises(UserError, match=r"has 0\.1 megapixels, more than 0\.05"):
        check_images({"train": big}, decoding=Decoding(largest_megapixels=0.05))


def test_check_refuses_a_split_without_readable_images(tmp_path: Path) -> None:
    splits = {"train": files(tmp_path / "a", [1]), "test": files(tmp_path / "b", [4])}
    spoil(splits["test"], 0)
    with pytest.raises(UserError, match="test split"):
        check_images(splits, on_error="skip")
