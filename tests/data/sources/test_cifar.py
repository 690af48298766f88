from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from lptpp.data.sources import cifar
from lptpp.data.sources.cifar import cifar10_lt, cifar100_lt
from lptpp.utils.errors import UserError


def test_from_folders(tmp_path: Path) -> None:
    for part, size in (("train", 20), ("test", 3)):
        for name in ("aquarium_fish", "bee", "cat"):
            (tmp_path / part / name).mkdir(parents=True)
            for i in range(size):
                Image.new("RGB", (2, 2)).save(tmp_path / part / name / f"{i}.png")
    whole = cifar100_lt(str(tmp_path), 4.0, "exponential", split_seed=0)
    assert whole.class_names == ["aquarium fish", "bee", "cat"]
    assert whole.counts().tolist() == [20, 10, 5]
    assert whole.test is not None
    assert whole.test.counts(3).tolist() == [3, 3, 3]
    again, other = (cifar10_lt(str(tmp_path), 4.0, "exponential", split_seed=seed) for seed in (0, 1))
    assert again.train.images == whole.train.images
    assert other.train.images != whole.train.images


def test_from_torchvision(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def dataset(root: Path, train: bool, download: bool) -> SimpleNamespace:
        assert (root, download) == (tmp_path, True)
        targets = [0, 1] * (8 if train else 2)
        pixels = np.arange(len(targets), dtype=np.uint8).reshape(-1, 1, 1, 1).repeat(3, axis=3)
        return SimpleNamespace(data=pixels, targets=targets, classes=["old_car", "dog"])

    monkeypatch.setattr(cifar, "CIFAR10", dataset)
    whole = cifar10_lt(str(tmp_path), 4.0, "step", split_seed=0)
    assert whole.class_names == ["old car", "dog"]
    assert whole.counts().tolist() == [8, 2]
    assert [int(image[0, 0, 0]) % 2 for image in whole.train.images] == whole.train.labels.tolist()
    assert whole.test is not None
    assert [int(image[0, 0, 0]) for image in whole.test.images] == [0, 1, 2, 3]


def test_a_failed_download_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class CIFAR100:
        def __init__(self, root: Path, train: bool, download: bool) -> None:
            raise OSError("no route to host")

    monkeypatch.setattr(cifar, "CIFAR100", CIFAR100)
    with pytest.raises(UserError, match=r"CIFAR100.*no route to host"):
        cifar100_lt(str(tmp_path), 100.0, "exponential", split_seed=0)
