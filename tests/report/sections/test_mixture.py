"""Gains, weights and agreement against loops over classes and images."""

import re
from dataclasses import replace

import numpy as np
import pytest

from lptpp.evaluation.table import AVERAGE, MIXTURE, ResultRow
from lptpp.report.gather import EvaluatedRun, gather
from lptpp.report.sections.mixture import agreement, gain, mean_by_class, section
from tests.report.made import make_run


def test_a_gain_is_the_difference_of_two_rows_class_by_class(run: EvaluatedRun) -> None:
    visual = ResultRow("phase2", "visual")
    plot = gain(run, visual, "visual")
    points = [y for line in plot.figure.axes[0].lines if line.get_gid() for y in line.get_ydata()]
    expected = run.classes.accuracy[MIXTURE] - run.classes.accuracy[visual]
    assert set(np.round(points, 4)) == set(np.round(expected[np.isfinite(expected)], 4))
    better, worse, equal = (sum(np.sign(e) == sign for e in expected if np.isfinite(e)) for sign in (1, -1, 0))
    assert [int(number) for number in re.findall(r"\d+", plot.finding)[:3]] == [better, worse, equal]


def test_the_classes_that_gain_and_lose_most_are_named(run: EvaluatedRun) -> None:
    accuracy = {row: np.full(14, 50.0) for row in run.classes.accuracy}
    accuracy[MIXTURE] = np.array([50.0] * 10 + [90, 60, 20, np.nan])
    found = gain(replace(run, classes=replace(run.classes, accuracy=accuracy)), AVERAGE, "it").finding
    assert re.findall(r"class \d+ \(.*?\)", found) == [
        "class 10 (+40, 2 images)",
        "class 11 (+10, 2 images)",
        "class 12 (−30, 0 images)",
    ]


def test_equal_rows_neither_gain_nor_lose(run: EvaluatedRun) -> None:
    assert re.findall(r"\d+", gain(run, MIXTURE, "itself").finding) == ["0", "0", "13"]


def test_the_weight_of_a_class_is_the_mean_over_its_images() -> None:
    found = mean_by_class(np.array([0.2, 0.4, 0.9]), np.array([0, 0, 2]), 3)
    assert found[[0, 2]] == pytest.approx([0.3, 0.9])
    assert np.isnan(found[1])


def test_every_image_counts_once_among_the_experts_that_are_right(run: EvaluatedRun) -> None:
    of, images = run.predictions, len(run.predictions.labels)
    counted = {"all": [], "visual only": [], "language only": [], "none": []}
    for i, label in enumerate(of.labels):
        right = [name for name, row in run.finals.items() if of.predicted[row][i] == label]
        kind = {0: "none", 1: f"{right[0]} only" if right else "", 2: "all"}[len(right)]
        counted[kind].append(of.predicted[MIXTURE][i] == label)
    rows = {row[0].text: (row[1].text, row[2].text) for row in agreement(run).rows}
    assert rows == {
        kind: (f"{100 * len(right) / images:.1f}%", f"{100 * np.mean(right):.1f}%") for kind, right in counted.items()
    }


@pytest.mark.parametrize("method, plots", [("lpt", 1), ("linear_probe", 0)])
def test_one_expert_alone_is_compared_with_its_phase_1(method: str, plots: int, tmp_path) -> None:
    found = section(gather(make_run(tmp_path / "run", [30, 5, 2], method=method)))
    assert (len(found.parts) if found else 0) == plots


def test_of_two_experts_one_weight_is_drawn(run: EvaluatedRun) -> None:
    titles = [part.title for part in section(run).parts]
    assert [("visual" in title, "language" in title) for title in titles] == [
        (True, False),
        (False, True),
        (True, False),
        (False, False),
    ]
