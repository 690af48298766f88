from dataclasses import replace

from lptpp.app.examples import examples
from lptpp.data.dataset import Split
from lptpp.data.prepare import load_dataset


def test_there_are_examples_of_every_shot_and_class(model, pictures):
    found = examples(model, load_dataset(model.settings))
    many, *medium, few = [given.true for given, _ in found]
    assert (many, sorted(medium), few) == ("apple", ["bear", "car"], "dog")
    for given, image in found:
        assert given.image.parent == pictures / "test" / given.true
        assert image.size == (40, 40)


def test_they_are_the_same_each_time(model):
    collection = load_dataset(model.settings)
    assert [given for given, _ in examples(model, collection)] == [given for given, _ in examples(model, collection)]


def test_unreadable_images_and_a_missing_split_leave_fewer(model, tmp_path):
    collection = load_dataset(model.settings)
    (tmp_path / "bad.png").touch()
    test = Split([tmp_path / "bad.png", collection.test.images[-1]], [0, 3])
    assert [given.true for given, _ in examples(model, replace(collection, test=test))] == ["dog"]
    assert examples(model, replace(collection, test=None)) == []
