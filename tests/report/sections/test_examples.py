"""Which pictures are shown, and what is said where they are gone."""

import base64
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lptpp.data.dataset import Collection, Split
from lptpp.report.gather import Run, gather
from lptpp.report.sections.examples import SHOWN, choose, section
from lptpp.report.thumbnails import LONGEST, thumbnail
from tests.report.made import make_run

COUNTS = [40, 30, 5, 4, 3, 2, 2, 1]


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("images")
    paths = [folder / f"<b>{index}.png" for index in range(24)]
    for index, path in enumerate(paths):
        Image.new("RGB", (300, 100), (10 * index, 0, 0)).save(path)
    return paths


@pytest.fixture(scope="module")
def shown(images: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = make_run(tmp_path_factory.mktemp("shown") / "run", COUNTS, images=images)
    return gather(folder, collection(images))


def collection(images: list[Path], names: list[str] | None = None) -> Collection:
    names = names or [f"class {index}" for index in range(8)]
    test = Split(list(images), np.repeat(np.arange(8), 3))
    return Collection(names, Split([images[0]], np.array([0])), None, test)


def test_the_best_and_the_surely_wrong_are_first_in_order_one_a_class(shown: Run) -> None:
    of, chosen = shown.predictions, choose(shown)
    right = of.outputs["LPT++"] == of.labels
    for title, kind in (("Right and sure", True), ("Wrong and sure", False)):
        expected: dict[int, int] = {}
        for i in sorted(range(24), key=lambda i: -of.sure["LPT++"][i]):
            if right[i] == kind:
                expected.setdefault(of.labels[i], i)
        assert chosen[title] == list(expected.values())[:SHOWN]


def test_the_worst_have_the_least_likely_truth_and_are_not_shown_twice(shown: Run) -> None:
    of, chosen = shown.predictions, choose(shown)
    expected: dict[int, int] = {}
    for i in sorted(range(24), key=lambda i: of.truth[i]):
        if of.outputs["LPT++"][i] != of.labels[i] and i not in chosen["Wrong and sure"]:
            expected.setdefault(of.labels[i], i)
    assert chosen["Worst"] == list(expected.values())[:SHOWN]
    assert chosen["Worst"]


def test_each_picture_carries_what_was_said_of_it(shown: Run) -> None:
    found = section(shown)
    of, image = shown.predictions, choose(shown)["Wrong and sure"][0]
    (example,) = [one for one in found.parts[-1].examples if one.name == of.images[image]]
    picture = Image.open(io.BytesIO(base64.b64decode(example.picture.split(",")[1])))
    assert picture.size == (LONGEST, round(LONGEST / 3))
    assert picture.getpixel((5, 5))[0] == pytest.approx(10 * image, abs=4)
    assert example.true == f"class {of.labels[image]}"
    assert [one.name for one in example.outputs] == ["LPT++", "visual", "language"]
    for one, row in zip(example.outputs, ["LPT++", "visual, phase 2", "language, phase 2"], strict=True):
        assert (one.label, one.probability) == (f"class {of.outputs[row][image]}", of.sure[row][image])
        assert one.right == (of.outputs[row][image] == of.labels[image])
    assert [one.weight for one in example.outputs] == [None, *(of.weights[name][image] for name in of.weights)]
    assert found.note == ""


def test_pictures_that_cannot_be_read_are_counted(images: list[Path], shown: Run, tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    image = choose(shown)["Right and sure"][0]
    some = [*images[:image], broken, *images[image + 1 :]]
    renamed = replace(shown.predictions, images=[str(path) for path in some])
    found = section(replace(shown, predictions=renamed, pictures=Split(some, shown.pictures.labels)))
    assert found.note == "1 picture cannot be read any more."
    assert found.parts[0].examples[0].picture is None
    assert found.parts[0].examples[1].picture is not None


def test_a_picture_whose_class_has_changed_is_not_shown(images: list[Path], shown: Run) -> None:
    other = collection(images, [f"other {index}" for index in range(8)])
    found = section(gather(shown.folder, other))
    assert all(example.picture is None for strip in found.parts for example in strip.examples)


def test_without_data_the_reason_and_without_the_truth_the_command(shown: Run) -> None:
    gone = section(gather(shown.folder))
    assert gone.note.startswith("The pictures cannot be shown: /nowhere is not a folder")
    old = section(replace(shown, predictions=replace(shown.predictions, truth=None)))
    assert [strip.title for strip in old.parts] == ["Right and sure", "Wrong and sure"]
    assert old.command == f"lptpp evaluate {shown.folder}"


def test_a_thumbnail_is_small_and_none_for_what_is_no_picture(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (900, 500, 3), dtype=np.uint8)
    assert len(thumbnail(noise)) < 20_000
    assert thumbnail(tmp_path / "gone.png") is None
