import logging
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from lptpp.app import neighbors
from lptpp.app.neighbors import FILE, neighbors_of
from lptpp.data.dataset import ImageDataset, Split
from lptpp.data.prepare import load_dataset
from lptpp.utils.arrays import read_arrays, write_arrays


@pytest.fixture
def collection(model) -> ImageDataset:
    return load_dataset(model.settings)


@pytest.fixture
def computed(monkeypatch) -> list[int]:
    """The number of training images of every feature table that is computed, not read."""
    counts, compute = [], neighbors._compute
    monkeypatch.setattr(neighbors, "_compute", lambda model, split: counts.append(len(split)) or compute(model, split))
    return counts


def test_the_nearest_are_those_of_a_literal_search(model, collection, pictures, tmp_path):
    found = neighbors_of(model, collection, tmp_path)
    query = model.predict_batch([pictures / "test" / "apple" / "2.png"]).features
    expected = []
    for image, label in zip(collection.train.images, collection.train.labels, strict=True):
        own = model.predict_batch([image]).features
        cosines = [torch.cosine_similarity(own[name], query[name]).item() for name in query]
        expected.append((sum(cosines) / len(cosines), str(image), collection.class_names[label]))
    expected.sort(reverse=True)
    nearest = found.nearest(torch.cat([*query.values()], 1)[0])
    assert [(one.name, one.label) for one in nearest] == [(name, label) for _, name, label in expected[:6]]
    assert [one.similarity for one in nearest] == pytest.approx([cosine for cosine, _, _ in expected[:6]], abs=1e-5)
    assert all(one.thumbnail.startswith("data:image/jpeg") for one in nearest)


def test_they_are_computed_once(model, collection, computed, tmp_path):
    first, second = (neighbors_of(model, collection, tmp_path) for _ in range(2))
    assert computed == [17]
    assert torch.equal(first.features, second.features)
    assert first.split.images == second.split.images
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


@pytest.mark.parametrize("change", ["label", "name", "model", "file"])
def test_they_are_computed_again_where_anything_differs(change, model, collection, computed, tmp_path, monkeypatch):
    neighbors_of(model, collection, tmp_path)
    train = collection.train
    if change == "label":
        train.labels[0] = 1
    elif change == "name":
        moved = shutil.copy(train.images[0], tmp_path / "other.png")
        collection = replace(collection, train=Split([Path(moved), *train.images[1:]], train.labels))
    elif change == "model":
        monkeypatch.setattr(type(model.mixture), "fingerprint", lambda mixture: "another")
    else:
        (tmp_path / FILE).write_bytes((tmp_path / FILE).read_bytes()[:100])
    neighbors_of(model, collection, tmp_path)
    neighbors_of(model, collection, tmp_path)
    assert computed == [17, 17]


def test_unreadable_images_are_left_out(model, collection, pictures, tmp_path):
    (tmp_path / "bad.png").write_bytes(b"not an image")
    train = collection.train
    images = [train.images[0], tmp_path / "bad.png", *train.images[2:]]
    collection = replace(collection, train=Split(images, train.labels))
    for _ in range(2):  # computed, then read
        found = neighbors_of(model, collection, tmp_path)
        assert found.split.images == [train.images[0], *train.images[2:]]
        assert found.split.labels.tolist() == [*train.labels[:1], *train.labels[2:]]
        own = model.predict_batch([train.images[2]]).features
        torch.testing.assert_close(found.features[1], torch.cat([*own.values()], 1)[0], atol=1e-5, rtol=0)


def test_a_missing_image_has_no_thumbnail(model, collection, pictures, tmp_path):
    here = Path(shutil.copy(pictures / "train" / "dog" / "0.png", tmp_path / "dog.png"))
    collection = replace(collection, train=Split([here], np.array([3])))
    found = neighbors_of(model, collection, tmp_path)
    here.unlink()
    (only,) = found.nearest(found.features[0])
    assert (only.name, only.label, only.thumbnail) == (str(here), "dog", None)


def test_a_read_only_folder_is_a_warning(model, collection, tmp_path, monkeypatch, caplog):
    def refuse(*arguments):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "fsync", refuse)
    with caplog.at_level(logging.WARNING, logger="lptpp"):
        assert len(neighbors_of(model, collection, tmp_path).features) == 17
    assert FILE in caplog.text and "Permission denied" in caplog.text
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("change", ["byte", "place", "width", "type", "missing"])
def test_a_table_that_does_not_fit_is_computed_again(change, model, collection, computed, tmp_path):
    """A run folder may be from someone else, who knows how such a file is sealed."""
    neighbors_of(model, collection, tmp_path)
    path = tmp_path / FILE
    if change == "byte":
        path.write_bytes(path.read_bytes()[:-1] + b"\1")
    else:
        arrays, about = read_arrays(path)
        features, places = arrays["features"], arrays["places"]
        tables = {
            "place": {"features": features, "places": places + 1},
            "width": {"features": features[:, 1:], "places": places},
            "type": {"features": features.astype("float64"), "places": places},
            "missing": {"features": features},
        }
        write_arrays(path, tables[change], about)
    neighbors_of(model, collection, tmp_path)
    assert computed == [17, 17]
