"""What is remembered of checked images saves decoding them again, and changes nothing else."""

import os
from pathlib import Path

import numpy as np
import pytest

from lptpp.data import check
from lptpp.data.check import check_images, refuse_unreadable
from lptpp.data.checked import Checked
from lptpp.data.dataset import Split
from lptpp.data.decode import LIMITED, Decoding
from lptpp.utils.errors import UserError
from tests.data.test_cache import files
from tests.data.test_check import spoil


@pytest.fixture
def splits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Split]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    found = {"train": files(tmp_path / "a", [1, 2, 3]), "test": files(tmp_path / "b", [4, 5])}
    spoil(found["train"], 1)
    return found


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    calls: list[Path] = []
    reason = check.unreadable_reason
    monkeypatch.setattr(check, "unreadable_reason", lambda image, how: (calls.append(image), reason(image, how))[1])
    return calls


def test_an_image_is_decoded_once_until_it_changes(splits, decoded):
    first = check_images(splits, "skip", checked=Checked("r", LIMITED))
    assert len(decoded) == 5
    again = check_images(splits, "skip", checked=Checked("r", LIMITED))
    assert len(decoded) == 5
    assert again[1] == first[1] == check_images(splits, "skip")[1]
    assert [list(split.images) for split in again[0].values()] == [list(split.images) for split in first[0].values()]
    decoded.clear()
    os.utime(splits["test"].images[0], ns=(5, 5))
    check_images(splits, "skip", checked=Checked("r", LIMITED))
    assert decoded == [splits["test"].images[0]]
    decoded.clear()
    check_images(splits, "skip", checked=Checked("r", Decoding(largest_megapixels=7)))
    check_images(splits, "skip", checked=Checked("other", LIMITED))
    assert len(decoded) == 10


def test_what_is_known_to_be_unreadable_is_refused_without_decoding(splits, decoded):
    check_images(splits, "skip", checked=Checked(None, LIMITED))
    decoded.clear()
    with pytest.raises(UserError, match=r"^1 unreadable image: fix .*\n.*1\.png: cannot be read"):
        refuse_unreadable(splits, checked=Checked(None, LIMITED))
    assert decoded == []


def test_a_damaged_memory_and_arrays_are_checked_again(splits, decoded):
    memory = Checked(None, LIMITED)
    check_images(splits, "skip", checked=memory)
    memory.path.write_bytes(b"damaged")
    check_images(splits, "skip", checked=Checked(None, LIMITED))
    assert len(decoded) == 10
    arrays = {"train": Split([np.zeros((4, 4, 3), np.uint8)], np.array([0]))}
    for _ in range(2):
        check_images(arrays, checked=Checked(None, LIMITED))
    assert len(decoded) == 12


def test_before_training_some_images_are_checked_the_other_splits_first(tmp_path, decoded, monkeypatch):
    monkeypatch.setattr(check, "CHUNK", 3)
    splits = {"train": files(tmp_path / "a", range(1, 6)), "test": files(tmp_path / "b", [7, 8])}
    refuse_unreadable(splits, seconds=0)
    assert len(decoded) == 3 and {path.parent.name for path in decoded} == {"a", "b"}
    spoil(splits["test"], 0, 1)
    with pytest.raises(UserError, match=r"2 unreadable images among 3 of 7; `lptpp data` checks all: .*"):
        refuse_unreadable(splits, seconds=0)
    refused = pytest.raises(UserError, match=r"^3 unreadable images: fix(.|\n)*a/4\.png(.|\n)*b/0\.png(.|\n)*b/1")
    spoil(splits["train"], 4)
    with refused:
        refuse_unreadable(splits, seconds=60)
