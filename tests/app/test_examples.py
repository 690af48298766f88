from dataclasses import replace

from lptpp.app.examples import examples
from lptpp.data.dataset import Split
from lptpp.data.prepare import collection_of


def test_there_are_examples_of_every_shot_and_class_with_their_class(model, pictures):
    found = examples(model, collection_of(model.settings))
    many, *medium, few = [asked.true for asked, _ in found]
    assert (many, sorted(medium), few) == ("apple", ["bear", "car"], "dog")
    for asked, picture in found:
        assert asked.image.parent == pictures / "test" / asked.true
        assert picture.size == (40, 40)


def test_they_are_the_same_each_time(model):
    collection = collection_of(model.settings)
    assert [asked for asked, _ in examples(model, collection)] == [asked for asked, _ in examples(model, collection)]


def test_unreadable_pictures_and_a_missing_part_leave_fewer(model, tmp_path):
    collection = collection_of(model.settings)
    (tmp_path / "bad.png").touch()
    test = Split([tmp_path / "bad.png", collection.test.images[-1]], [0, 3])
    assert [asked.true for asked, _ in examples(model, replace(collection, test=test))] == ["dog"]
    assert examples(model, replace(collection, test=None)) == []
