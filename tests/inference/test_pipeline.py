"""The path from images to outputs: reasons for unreadable images, reading ahead, splits."""

import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lptpp.data.cache import ImageCache
from lptpp.data.dataset import Split
from lptpp.data.decode import Decoding
from lptpp.inference.pipeline import Pipeline, chunks, read_ahead
from lptpp.inference.runtime import Runner
from lptpp.utils.errors import UserError
from tests import golden

CPU = Runner(torch.device("cpu"), batch_size=5)


@pytest.fixture(scope="module")
def pipeline(trained) -> Pipeline:
    return Pipeline(trained.mixture, CPU)


@pytest.fixture
def folder(tmp_path) -> Path:
    Image.new("RGB", (4, 3), "red").save(tmp_path / "red.png")
    Image.new("RGB", (40, 50)).save(tmp_path / "large.png")
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "folder.png").mkdir()
    return tmp_path


def test_a_readable_image_gives_the_views_of_each_expert(pipeline, folder):
    views = pipeline.read(folder / "red.png")
    assert {name: tuple(view.shape) for name, view in views.items()} == dict.fromkeys(
        ("visual", "language"), (1, 3, 64, 64)
    )
    from_array = pipeline.read(np.asarray(Image.open(folder / "red.png")))
    assert all(torch.equal(views[name], from_array[name]) for name in views)


def test_an_unreadable_image_gives_the_reason(pipeline, folder):
    names = ["large.png", "empty.png", "text.png", "folder.png", "gone.png", "nul\0.png"]
    reasons = [pipeline.read(folder / name, Decoding(largest_megapixels=0.001)) for name in names]
    assert all(isinstance(reason, str) for reason in reasons)
    assert isinstance(pipeline.read(folder / ("x" * 5000)), str)  # longer than a name can be
    lines = [f"{name}: {reason}" for name, reason in zip(names, reasons, strict=True)]
    golden.check("unreadable_images", "\n".join(lines).replace("\0", "?") + "\n")


def test_an_image_that_no_view_can_be_made_of_gives_the_reason(pipeline, folder, monkeypatch):
    def fail(image: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("not enough memory: you tried to allocate 5 GB\nmore")

    monkeypatch.setitem(pipeline.transforms, "visual", fail)
    assert pipeline.read(folder / "red.png") == "cannot be resized: not enough memory: you tried to allocate 5 GB"


def test_unknown_views_are_refused(trained):
    with pytest.raises(UserError, match=r"views=flips: .*flip"):
        Pipeline(trained.mixture, CPU, "flips")


@pytest.mark.parametrize("views, size", [("one", 5), ("flip", 2), ("five_crops", 1)])
def test_a_split_is_predicted_as_its_images_one_by_one(views, size, trained, pictures):
    images = sorted(pictures.glob("test/*/*.png"))
    pipeline = Pipeline(trained.mixture, CPU, views)
    split = ImageCache(Split(images, np.arange(12) // 3), 2**20)
    with torch.no_grad():
        found = list(pipeline.predictions(split, "Test"))
    assert [len(labels) for _, labels in found] == [size] * (12 // size) + [12 % size] * bool(12 % size)
    assert torch.cat([labels for _, labels in found]).tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]
    alone = torch.cat([pipeline.forward([pipeline.read(image)]).of_views for image in images])
    torch.testing.assert_close(torch.cat([one.of_views for one, _ in found]), alone)


def test_some_images_of_a_split_come_in_the_order_asked_for(pipeline, pictures):
    split = ImageCache(Split(sorted(pictures.glob("test/*/*.png")), np.arange(12) // 3), 0)
    with torch.no_grad():
        ((_, labels, indices),) = pipeline.expert_outputs(split, "Test", [7, 0, 11])
    assert (labels.tolist(), indices.tolist()) == ([2, 0, 3], [7, 0, 11])


def test_an_image_of_a_split_that_is_gone_is_an_error(pipeline, tmp_path):
    split = ImageCache(Split([tmp_path / "gone.png"], np.zeros(1)), 0)
    with pytest.raises(UserError, match=r"gone\.png"):
        list(pipeline.expert_outputs(split, "Test"))


def test_the_order_stays_whatever_takes_long():
    def slow(number: int) -> int:
        time.sleep(0.02 if threading.get_native_id() % 2 else 0)
        return -number

    found = list(read_ahead(chunks(range(11), 4), slow))
    assert [chunk for chunk, _ in found] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10]]
    assert all(results == [-number for number in chunk] for chunk, results in found)


def test_no_more_than_two_chunks_are_read_ahead():
    begun = []

    def given():
        for number in range(5):
            begun.append(number)
            yield [number]

    reading = read_ahead(given(), abs)
    for number in range(4):
        next(reading)
        assert begun == list(range(number + 2))
    reading.close()
    assert list(read_ahead(iter(()), abs)) == []
