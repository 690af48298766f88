from pathlib import Path

import numpy as np
import pytest

from lptpp.data.dataset import ImageDataset, Split
from lptpp.data.files import Files
from lptpp.data.repeats import Place, images_of, is_across_classes, is_across_splits, repeated_paths


def literal(dataset: ImageDataset) -> list[list[Place]]:
    found: dict[Path, list[Place]] = {}
    for name, split in dataset.splits().items():
        for image, label in zip(split.images, split.labels.tolist(), strict=True):
            if isinstance(image, Path):
                found.setdefault(image, []).append(Place(image, name, label))
    return [group for group in found.values() if len(group) > 1]


def dataset(images: Files | list) -> ImageDataset:
    labels = np.arange(len(images)) % 3
    whole, cut = Split(images, labels), len(images) // 2
    rows = np.random.default_rng(0).permutation(len(images))
    return ImageDataset(list("abc"), whole.subset(rows[:cut]), None, whole.subset(rows[cut:]))


@pytest.mark.parametrize("names", [[], ["x"], ["x", "y", "é"], [f"{i}" for i in range(40)]])
def test_repeated_files_are_those_of_a_literal_search(names):
    given = [f"a/{name}.png" for name in ["1", "2", *names, *names[:5], *names[:2], "2"]]
    longer = [*given, "a/" + 200 * "l"]  # of which no table is made
    for images in (Files.of(given), Files.of(given, "a/"), [Path(one) for one in given], Files.of(longer)):
        found, expected = list(repeated_paths(dataset(images))), literal(dataset(images))
        assert list(map(list, found)) == expected
        assert found
        for function in (images_of, is_across_classes, is_across_splits):
            assert list(map(function, found)) == list(map(function, expected))
        assert [list(one[1:]) for one in found] == [one[1:] for one in expected]


def test_pixels_and_files_of_equal_hash_are_not_repeats(monkeypatch):
    pixels = np.zeros((2, 2, 3), np.uint8)
    assert list(repeated_paths(dataset([pixels, Path("a"), pixels, Path("b")]))) == []
    monkeypatch.setattr("lptpp.data.repeats.hash", lambda text: 0, raising=False)
    images = [Path(name) for name in "cabadb"]
    assert list(map(list, repeated_paths(dataset(images)))) == literal(dataset(images))
