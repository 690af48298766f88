"""Markers of classes against loops over the classes."""

from collections import defaultdict

import numpy as np
import pytest

from lptpp.evaluation.table import MIXTURE
from lptpp.report.class_scatter import MOST_MARKERS, class_plot
from lptpp.report.gather import EvaluatedRun, gather
from lptpp.report.style import MARKERS, log_position
from tests.report.made import make_run


def marks(ax) -> dict[str, list[tuple[float, float]]]:
    """Return the places of the marks by their gid."""
    return {line.get_gid(): list(zip(*line.get_data(), strict=True)) for line in ax.lines if line.get_gid()}


def test_every_class_is_at_its_place_under_its_tip(run: EvaluatedRun) -> None:
    values = run.classes.accuracy[MIXTURE]
    places = defaultdict(list)
    for index, value in enumerate(values):
        if not np.isnan(value):
            shot, x = run.classes.shots[index], float(log_position(run.classes.counts[index : index + 1])[0])
            places[shot, x, value].append(run.classes.names[index])
    _, ax, tips = class_plot(run, values, "{:.0f}%", "accuracy")
    drawn = {}
    for gid, at in marks(ax).items():
        for (x, y), tip in zip(at, tips[gid], strict=True):
            drawn[gid.split("-")[0], x, y] = tip.split(":")[0].split(", ")
    assert drawn == places
    assert len(places) < np.isfinite(values).sum()  # some classes share a place


def test_a_tip_says_images_and_value_and_names_few(tmp_path) -> None:
    run = gather(make_run(tmp_path / "run", [30] + [1] * 7, tested=[1] + [2] * 6 + [4]))
    _, ax, tips = class_plot(run, np.full(8, 50.0), "{:.0f}%", "accuracy")
    messages = [text for texts in tips.values() for text in texts]
    few = "class 1, class 2, class 3, class 4 and 3 more: 1 training image, 2 to 4 test images, 50%"
    assert sorted(messages) == ["class 0: 30 training images, 1 test image, 50%", few]
    sizes = {line.get_gid(): line.get_markersize() for line in ax.lines if line.get_gid()}
    assert max(sizes, key=sizes.get).startswith("few")  # seven classes at one place are a larger mark than one


def test_the_line_is_the_mean_of_equal_parts_of_the_classes(run: EvaluatedRun) -> None:
    values = np.arange(14.0)
    _, ax, _ = class_plot(run, values, "{}", "value")
    (line,) = [line for line in ax.lines if line.get_label() == "mean"]
    order = sorted(range(14), key=lambda index: run.classes.counts[index])
    assert line.get_ydata().tolist() == [np.mean(order[:7]), np.mean(order[7:])]
    fewest = [max(run.classes.counts[index], 0.5) for index in order[:7]]
    assert line.get_xdata()[0] == pytest.approx(np.prod(fewest) ** (1 / 7))


def test_only_the_shots_there_are_in_the_legend(tmp_path) -> None:
    run = gather(make_run(tmp_path / "run", [10, 5, 3]))
    figure, _, _ = class_plot(run, np.ones(3), "{}", "value")
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["few"]
    assert list(MARKERS) == ["many", "medium", "few"]


def test_too_many_marks_become_a_picture(tmp_path) -> None:
    classes = MOST_MARKERS + 1
    run = gather(make_run(tmp_path / "run", range(1, classes + 1), tested=[1] + [0] * (classes - 1)))
    _, ax, tips = class_plot(run, np.ones(classes), "{}", "value")
    assert tips == {}
    assert all(line.get_rasterized() for line in ax.lines if line.get_gid())
    _, ax, tips = class_plot(run, np.where(np.arange(classes) < MOST_MARKERS, 1.0, np.nan), "{}", "value")
    assert sum(map(len, tips.values())) == MOST_MARKERS
    assert not any(line.get_rasterized() for line in ax.lines)
