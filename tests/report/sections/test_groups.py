"""The use of the prompt pool against loops."""

from dataclasses import replace

import numpy as np
import pytest

from lptpp.report.gather import Run, gather
from lptpp.report.sections.groups import choosers, heat_map, messages, section
from tests.report.made import make_run


def cells(plate) -> np.ndarray:
    """Return the shares (R, m) that a heat map shows."""
    (image,) = plate.figure.axes[1].images
    return np.asarray(image.get_array())


def test_each_row_of_the_map_is_a_class_with_pictures_largest_first(run: Run) -> None:
    counts = run.groups["visual"]
    plate = heat_map(run, "visual", counts)
    tested = [index for index in range(14) if run.classes.tested[index]]
    order = sorted(tested, key=lambda index: -run.classes.counts[index])
    expected = [[100 * images / run.classes.tested[index] for images in counts[index]] for index in order]
    np.testing.assert_allclose(cells(plate), expected)
    labels = [label.get_text() for label in plate.figure.axes[1].get_yticklabels()]
    assert labels == [run.classes.names[index] for index in order]


def test_many_classes_are_taken_together(tmp_path) -> None:
    run = gather(make_run(tmp_path / "run", range(500, 400, -1)))
    counts = run.groups["language"]
    plate = heat_map(run, "language", counts)
    assert cells(plate).shape == (40, counts.shape[1])
    assert cells(plate)[0] == pytest.approx(100 * counts[:3].sum(0) / run.classes.tested[:3].sum())
    assert plate.figure.axes[1].get_yticklabels()[0].get_text() == "500"


def test_how_many_groups_are_used_and_how_evenly() -> None:
    assert messages(np.array([[3, 0, 1], [1, 0, 3]]), 1).startswith(
        "2 of 3 groups are used, as evenly as 2.0 groups of equal"
    )
    assert "1 of 3 groups are used, as evenly as 1.0" in messages(np.array([[5, 0, 0]]), 1)


def test_the_classes_of_a_group_are_those_of_which_most_images_choose_it(run: Run) -> None:
    counts = np.zeros((14, 3), dtype=int)
    counts[0, 1], counts[5, 1], counts[4, 2] = 6, 4, 1  # of 9, 4 and 4 images
    rows = [[cell.text for cell in row] for row in choosers(run, "visual", counts).rows]
    images = run.classes.tested.sum()
    assert rows == [
        ["2", f"{100 * 10 / images:.0f}\u00a0%", "class 5 (100\u00a0%), class 0 (67\u00a0%)"],
        ["3", f"{100 / images:.0f}\u00a0%", "class 4 (25\u00a0%)"],
    ]


def test_without_group_prompts_there_is_no_section_and_without_the_file_the_command(run: Run) -> None:
    assert section(replace(run, groups={})) is None
    lacking = section(replace(run, groups=None))
    assert (lacking.command, lacking.parts) == (f"lptpp evaluate {run.folder}", ())
