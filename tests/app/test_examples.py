from dataclasses import replace

from lptpp.app import examples as module
from lptpp.app.examples import Examples
from lptpp.data.dataset import Split
from lptpp.data.prepare import load_dataset


def test_there_is_an_example_of_every_class_largest_first(model, pictures):
    examples = Examples(model, load_dataset(model.settings))
    assert [given.true for given, _ in examples.shown()] == examples.classes == ["apple", "bear", "car", "dog"]
    for given, image in examples.shown():
        assert given.image.parent == pictures / "test" / given.true
        assert image.size == (40, 40)


def test_of_more_classes_some_of_every_shot_are_shown_and_all_are_there_by_name(model, monkeypatch):
    monkeypatch.setattr(module, "MOST", 3)
    monkeypatch.setattr(module, "PER_SHOT", 1)
    examples = Examples(model, load_dataset(model.settings))
    many, medium, few = [given.true for given, _ in examples.shown()]
    assert (many, few) == ("apple", "dog") and medium in ("bear", "car")
    assert [examples.of_class(name)[0].true for name in examples.classes] == ["apple", "bear", "car", "dog"]


def test_they_are_the_same_each_time(model):
    collection = load_dataset(model.settings)
    first, second = ([given for given, _ in Examples(model, collection).shown()] for _ in range(2))
    assert first == second


def test_unreadable_images_and_a_missing_split_leave_fewer(model, tmp_path):
    collection = load_dataset(model.settings)
    (tmp_path / "bad.png").touch()
    test = Split([tmp_path / "bad.png", collection.test.images[-1]], [0, 3])
    found = Examples(model, replace(collection, test=test))
    assert [given.true for given, _ in found.shown()] == ["dog"]
    assert found.of_class("apple") is None
    without = Examples(model, replace(collection, test=None))
    assert (without.shown(), without.classes) == ([], [])
