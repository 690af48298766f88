"""Which images are shown, and what is shown if they cannot be loaded."""

import base64
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lptpp.data.dataset import ImageDataset, Split
from lptpp.evaluation.table import MIXTURE, ResultRow
from lptpp.report.gather import EvaluatedRun, gather
from lptpp.report.sections.examples import CORRECT, SHOWN, UNLIKELY, WRONG, section, select
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
def shown(images: list[Path], tmp_path_factory: pytest.TempPathFactory) -> EvaluatedRun:
    folder = make_run(tmp_path_factory.mktemp("shown") / "run", COUNTS, images=images)
    return gather(folder, collection(images))


def collection(images: list[Path], names: list[str] | None = None) -> ImageDataset:
    names = names or [f"class {index}" for index in range(8)]
    test = Split(list(images), np.repeat(np.arange(8), 3))
    return ImageDataset(names, Split([images[0]], np.array([0])), None, test)


def test_the_best_and_the_surely_wrong_are_first_in_order_one_a_class(shown: EvaluatedRun) -> None:
    of, selected = shown.predictions, select(shown)
    right = of.predicted[MIXTURE] == of.labels
    for title, kind in ((CORRECT, True), (WRONG, False)):
        expected: dict[int, int] = {}
        for i in sorted(range(24), key=lambda i: -of.confidence[MIXTURE][i]):
            if right[i] == kind:
                expected.setdefault(of.labels[i], i)
        assert selected[title] == list(expected.values())[:SHOWN]


def test_the_worst_have_the_least_likely_truth_and_are_not_shown_twice(shown: EvaluatedRun) -> None:
    of, selected = shown.predictions, select(shown)
    expected: dict[int, int] = {}
    for i in sorted(range(24), key=lambda i: of.truth[i]):
        if of.predicted[MIXTURE][i] != of.labels[i] and i not in selected[WRONG]:
            expected.setdefault(of.labels[i], i)
    assert selected[UNLIKELY] == list(expected.values())[:SHOWN]
    assert selected[UNLIKELY]


def test_each_picture_carries_what_was_said_of_it(shown: EvaluatedRun) -> None:
    found = section(shown)
    of, image = shown.predictions, select(shown)[WRONG][0]
    (example,) = [one for one in found.parts[-1].examples if one.name == of.images[image]]
    picture = Image.open(io.BytesIO(base64.b64decode(example.source.split(",")[1])))
    assert picture.size == (LONGEST, round(LONGEST / 3))
    assert picture.getpixel((5, 5))[0] == pytest.approx(10 * image, abs=4)
    assert example.true == f"class {of.labels[image]}"
    rows = [MIXTURE, ResultRow("phase2", "visual"), ResultRow("phase2", "language")]
    assert [one.name for one in example.predicted] == ["LPT++", "visual", "language"]
    for one, row in zip(example.predicted, rows, strict=True):
        assert (one.label, one.probability) == (f"class {of.predicted[row][image]}", of.confidence[row][image])
        assert one.correct == (of.predicted[row][image] == of.labels[image])
    assert [one.weight for one in example.predicted] == [None, *(of.weights[name][image] for name in of.weights)]
    assert found.note == ""


def test_pictures_that_cannot_be_read_are_counted(images: list[Path], shown: EvaluatedRun, tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    image = select(shown)[CORRECT][0]
    some = [*images[:image], broken, *images[image + 1 :]]
    renamed = replace(shown.predictions, images=[str(path) for path in some])
    found = section(replace(shown, predictions=renamed, images=Split(some, shown.images.labels)))
    assert found.note.startswith("1 image ")
    assert found.parts[0].examples[0].source is None
    assert found.parts[0].examples[1].source is not None


def test_a_picture_whose_class_has_changed_is_not_shown(images: list[Path], shown: EvaluatedRun) -> None:
    other = collection(images, [f"other {index}" for index in range(8)])
    found = section(gather(shown.folder, other))
    assert all(example.source is None for strip in found.parts for example in strip.examples)


def test_without_data_the_reason_is_shown(shown: EvaluatedRun) -> None:
    assert f"cannot be shown: {shown.folder}" in section(gather(shown.folder)).note


def test_a_thumbnail_is_small_and_none_for_what_is_no_picture(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (900, 500, 3), dtype=np.uint8)
    assert len(thumbnail(noise)) < 20_000
    assert thumbnail(tmp_path / "gone.png") is None
