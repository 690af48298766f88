"""The use of the prompt groups against loops."""

from dataclasses import replace

import numpy as np
import pytest

from lptpp.evaluation.table import ResultRow
from lptpp.report.gather import EvaluatedRun, gather
from lptpp.report.group_use import CREDIT, credits
from lptpp.report.sections.groups import group_table, heat_map, section
from tests.report.made import make_run


def cells(plot) -> np.ndarray:
    """Return the shares (R, m) that a heat map shows."""
    (image,) = plot.figure.axes[1].images
    return np.asarray(image.get_array())


def test_each_row_of_the_map_is_a_class_with_pictures_largest_first(run: EvaluatedRun) -> None:
    counts = run.groups["visual"]
    plot = heat_map(run, "visual", counts)
    tested = [index for index in range(14) if run.classes.tested[index]]
    order = sorted(tested, key=lambda index: -run.classes.counts[index])
    expected = [[100 * images / run.classes.tested[index] for images in counts[index]] for index in order]
    np.testing.assert_allclose(cells(plot), expected)
    labels = [label.get_text() for label in plot.figure.axes[1].get_yticklabels()]
    assert labels == [run.classes.names[index] for index in order]


def test_many_classes_are_taken_together(tmp_path) -> None:
    run = gather(make_run(tmp_path / "run", range(500, 400, -1)))
    counts = run.groups["language"]
    plot = heat_map(run, "language", counts)
    assert cells(plot).shape == (40, counts.shape[1])
    assert cells(plot)[0] == pytest.approx(100 * counts[:3].sum(0) / run.classes.tested[:3].sum())
    assert plot.figure.axes[1].get_yticklabels()[0].get_text() == "500"


def test_the_section_tells_what_own_groups_gain_if_there_are_control_rows(run: EvaluatedRun, tmp_path) -> None:
    assert CREDIT not in section(run).intro
    rows = [ResultRow("phase2_none", "visual"), ResultRow("phase2_random", "visual")]
    with_controls = gather(make_run(tmp_path / "run", [9, 4, 1], extra_rows=rows))
    assert section(with_controls).intro.endswith(credits(with_controls.group_use))


def test_the_classes_of_a_group_are_those_of_which_most_images_choose_it(run: EvaluatedRun) -> None:
    counts = np.zeros((14, 3), dtype=int)
    counts[0, 1], counts[5, 1], counts[4, 2] = 6, 4, 1  # of 9, 4 and 4 images
    rows = [[cell.text for cell in row] for row in group_table(run, "visual", counts).rows]
    images = run.classes.tested.sum()
    assert rows == [
        ["2", f"{100 * 10 / images:.0f}%", "class 5 (100%), class 0 (67%)"],
        ["3", f"{100 / images:.0f}%", "class 4 (25%)"],
    ]


def test_without_group_prompts_there_is_no_section(run: EvaluatedRun) -> None:
    assert section(replace(run, groups={})) is None
