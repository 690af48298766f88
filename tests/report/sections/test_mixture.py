"""Gains, weights and agreement against loops over classes and images."""

from dataclasses import replace

import numpy as np
import pytest

from lptpp.report.gather import Run, gather
from lptpp.report.sections.mixture import agreement, gain, mean_by_class, section
from tests.report.made import make_run


def test_a_gain_is_the_difference_of_two_rows_class_by_class(run: Run) -> None:
    plate = gain(run, "visual, phase 2", "visual")
    points = [y for line in plate.figure.axes[0].lines if line.get_gid() for y in line.get_ydata()]
    expected = run.classes.accuracy["LPT++"] - run.classes.accuracy["visual, phase 2"]
    assert set(np.round(points, 4)) == set(np.round(expected[np.isfinite(expected)], 4))
    better, worse, equal = (sum(np.sign(e) == sign for e in expected if np.isfinite(e)) for sign in (1, -1, 0))
    assert plate.finding.startswith(f"Better on {better} classes, worse on {worse}, the same on {equal}.")


def test_the_classes_that_gain_and_lose_most_are_named(run: Run) -> None:
    accuracy = {row: np.full(14, 50.0) for row in run.classes.accuracy}
    accuracy["LPT++"] = np.array([50.0] * 10 + [90, 60, 20, np.nan])
    found = gain(replace(run, classes=replace(run.classes, accuracy=accuracy)), "plain average", "it").finding
    assert found.endswith("Gains most: class 10 (+40), class 11 (+10); loses most: class 12 (−30).")


def test_equal_rows_neither_gain_nor_lose(run: Run) -> None:
    assert gain(run, "LPT++", "itself").finding.endswith("worse on 0, the same on 13.")


def test_the_weight_of_a_class_is_the_mean_over_its_images() -> None:
    found = mean_by_class(np.array([0.2, 0.4, 0.9]), np.array([0, 0, 2]), 3)
    assert found[[0, 2]] == pytest.approx([0.3, 0.9])
    assert np.isnan(found[1])


def test_every_image_counts_once_among_the_experts_that_are_right(run: Run) -> None:
    of, images = run.predictions, len(run.predictions.labels)
    counted = {"all": [], "visual only": [], "language only": [], "none": []}
    for i, label in enumerate(of.labels):
        right = [name for name, row in run.finals.items() if of.outputs[row][i] == label]
        kind = {0: "none", 1: f"{right[0]} only" if right else "", 2: "all"}[len(right)]
        counted[kind].append(of.outputs["LPT++"][i] == label)
    rows = {row[0].text: (row[1].text, row[2].text) for row in agreement(run).rows}
    assert rows == {
        kind: (f"{100 * len(right) / images:.1f}\u00a0%", f"{100 * np.mean(right):.1f}\u00a0%")
        for kind, right in counted.items()
    }


@pytest.mark.parametrize("method, titles", [("lpt", ["Gain of visual, phase 2 over phase 1"]), ("linear_probe", None)])
def test_one_expert_alone_is_compared_with_itself_before(method: str, titles: list[str] | None, tmp_path) -> None:
    found = section(gather(make_run(tmp_path / "run", [30, 5, 2], method=method)))
    assert (found and [part.title for part in found.parts]) == titles


def test_of_two_experts_one_weight_is_drawn(run: Run) -> None:
    assert [part.title for part in section(run).parts] == [
        "Gain of LPT++ over visual",
        "Gain of LPT++ over language",
        "The scorer's weight for visual",
        "When the experts disagree",
    ]
