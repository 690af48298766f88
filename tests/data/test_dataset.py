from pathlib import Path

import numpy as np
import pytest

from lptpp.data.dataset import EncodedImage, ImageDataset, Split
from lptpp.utils.errors import UserError


def split(labels: list[int]) -> Split:
    return Split([Path(f"{i}.png") for i in range(len(labels))], np.array(labels, np.int64))


def test_counts_and_subset() -> None:
    whole = split([0, 2, 2, 1, 2])
    assert whole.counts(4).tolist() == [1, 1, 3, 0]
    some = whole.subset(np.array([4, 0]))
    assert some.images == [Path("4.png"), Path("0.png")]
    assert some.labels.tolist() == [2, 0]
    assert some.labels.dtype == np.int64
    assert len(some) == 2


def test_empty_subset_keeps_counts() -> None:
    assert split([0, 1]).subset(np.array([], np.int64)).counts(2).tolist() == [0, 0]


def test_name() -> None:
    assert split([0, 1]).name(1) == "1.png"
    assert Split([np.zeros((2, 2, 3), np.uint8)] * 2, np.array([0, 1])).name(1) == "image 1"
    assert Split([EncodedImage(b"", "a.parquet row 7")], np.array([0])).name(0) == "a.parquet row 7"


def test_class_without_training_images_is_allowed() -> None:
    dataset = ImageDataset(["a", "b", "c"], split([0, 1]), None, split([2]))
    assert dataset.counts().tolist() == [1, 1, 0]
    assert list(dataset.splits()) == ["train", "test"]


@pytest.mark.parametrize(
    ("names", "train", "test", "words"),
    [
        (["a"], [0], None, "['a']"),
        (["a", " "], [0], None, "Class 1 "),
        (["a", "b", "a"], [0], None, "['a']"),
        (["a", "b"], [], None, "training split"),
        (["a", "b"], [0, 2], None, "1.png (train) has label 2, expected 0 to 1"),
        (["a", "b"], [0, -1], None, "label -1"),
        (["a", "b"], [0, 1], [0, 7], "1.png (test) has label 7"),
    ],
)
def test_refusals(names: list[str], train: list[int], test: list[int] | None, words: str) -> None:
    with pytest.raises(UserError) as error:
        ImageDataset(names, split(train), None, None if test is None else split(test))
    assert words in str(error.value)
