import threading
import time
from pathlib import Path

import pytest
from PIL import Image

from lptpp.prediction.inputs import Input
from lptpp.prediction.reading import read, read_ahead


@pytest.fixture
def folder(tmp_path) -> Path:
    Image.new("RGB", (4, 3), "red").save(tmp_path / "red.png")
    Image.new("RGB", (40, 50)).save(tmp_path / "large.png")
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "folder.png").mkdir()
    return tmp_path


def look(picture: Image.Image) -> dict:
    return {"size": picture.size}


@pytest.mark.parametrize(
    "name, told",
    [
        ("red.png", {"size": (4, 3)}),
        ("large.png", "has 0.0 megapixels, more than 0.001"),
        ("empty.png", "cannot be read: the file is empty"),
        ("text.png", "cannot be read: not a picture in a format that Pillow knows"),
        ("folder.png", "is no file: give the files of a folder one by one"),
        ("gone.png", "cannot be read: there is no such file"),
        ("nul\0.png", "cannot be read: embedded null byte"),
    ],
)
def test_each_input_gives_its_views_or_the_reason(name, messages, folder):
    assert read(Input(name, str(folder / name)), look, largest_megapixels=0.001) == messages


def test_an_input_without_a_path_and_one_too_long_for_a_path_tell_so(folder):
    assert read(Input("", ""), look, 1) == "no path is given"
    assert "File name too long" in read(Input("x" * 5000, "x" * 5000), look, 1)


def test_a_picture_that_no_view_can_be_made_of_tells_why(folder):
    def fail(picture: Image.Image) -> dict:
        raise RuntimeError("not enough memory: you tried to allocate 5 GB\nmore")

    messages = read(Input("red", str(folder / "red.png")), fail, 1)
    assert messages == "cannot be resized: not enough memory: you tried to allocate 5 GB"


def test_the_order_stays_whatever_takes_long(folder):
    def slow(picture: Image.Image) -> dict:
        time.sleep(0.02 if threading.get_native_id() % 2 else 0)
        return look(picture)

    inputs = [Input(f"{number}", str(folder / ("red.png" if number % 3 else "gone.png"))) for number in range(11)]
    chunks = [inputs[:4], inputs[4:8], inputs[8:]]
    found = list(read_ahead(iter(chunks), slow, 1))
    assert [chunk for chunk, _ in found] == chunks
    for number, seen in enumerate(one for _, chunk in found for one in chunk):
        assert isinstance(seen, dict) == bool(number % 3)


def test_no_more_than_two_chunks_are_read_ahead(folder):
    begun = []

    def chunks():
        for number in range(5):
            begun.append(number)
            yield [Input("red", str(folder / "red.png"))]

    reading = read_ahead(chunks(), look, 1)
    for number in range(4):
        next(reading)
        assert begun == list(range(number + 2))
    reading.close()
    assert list(read_ahead(iter(()), look, 1)) == []
