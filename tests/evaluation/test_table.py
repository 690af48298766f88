"""The keys and titles of the rows of the shot table."""

import pytest

from lptpp.evaluation.table import AVERAGE, BALANCED, COLUMNS, ECE_OF_PROBES, MIXTURE, ResultRow, notes

ROWS = {
    "visual.phase1": (ResultRow("phase1", "visual"), "visual, phase 1"),
    "my-expert_2.phase2": (ResultRow("phase2", "my-expert_2"), "my-expert_2, phase 2"),
    "visual.phase2_random": (ResultRow("phase2_random", "visual"), "visual, random groups"),
    "visual.phase2_none": (ResultRow("phase2_none", "visual"), "visual, no groups"),
    "my-expert_2.phase2_mean": (ResultRow("phase2_mean", "my-expert_2"), "my-expert_2, mean of groups"),
    "language.zero_shot": (ResultRow("zero_shot", "language"), "zero-shot, language"),
    "visual.class_means": (ResultRow("class_means", "visual"), "class means, visual"),
    "visual.linear_probe": (ResultRow("linear_probe", "visual"), "linear probe, visual"),
    "visual.balanced_probe": (ResultRow("balanced_probe", "visual"), "balanced probe, visual"),
    "joint_linear_probe": (ResultRow("joint_linear_probe"), "linear probe, all towers"),
    "joint_linear_probe.phase1": (ResultRow("phase1", "joint_linear_probe"), "joint_linear_probe, phase 1"),
    "average": (AVERAGE, "plain average"),
    "mixture": (MIXTURE, "LPT++"),
    "mixture.five_crops": (ResultRow("mixture", views="five_crops"), "LPT++, five crops"),
    "visual.phase2.flip": (ResultRow("phase2", "visual", views="flip"), "visual, phase 2, flip"),
    "mixture.temperature=2.5": (ResultRow("mixture", temperature="2.5"), "LPT++, temperature 2.5"),
    "mixture.prior=a.b.csv": (ResultRow("mixture", prior="a.b.csv"), "LPT++, prior a.b.csv"),
    "mixture.flip.temperature=fitted.prior=a\nb.csv": (
        ResultRow("mixture", "", "flip", "fitted", "a\nb.csv"),
        "LPT++, flip, temperature fitted, prior a\nb.csv",
    ),
    "mixture.phase1": (ResultRow("phase1", "mixture"), "mixture, phase 1"),  # an expert of that name
}


@pytest.mark.parametrize("key", list(ROWS))
def test_a_key_is_parsed_to_the_row_it_was_made_from(key: str) -> None:
    row, title = ROWS[key]
    assert ResultRow.parse(key) == row
    assert (str(row), row.title) == (key, title)


@pytest.mark.parametrize(
    "key", ["", "LPT++", "visual, phase 1", "visual", "visual.phase3", "visual.phase2_own", "mixture.flap", "phase1"]
)
def test_anything_else_is_not_a_row(key: str) -> None:
    with pytest.raises(ValueError, match="row"):
        ResultRow.parse(key)


def test_a_row_without_its_options() -> None:
    assert ResultRow("mixture", "", "flip", "2", "uniform").plain == MIXTURE
    assert AVERAGE.plain == AVERAGE != MIXTURE


def test_the_notes_of_a_table_count_the_images_behind_its_columns() -> None:
    tested = {shot: {"images": n, "classes": c} for shot, n, c in (("many", 1200, 3), ("medium", 0, 0), ("few", 1, 1))}
    line = "tested on: many 1,200 images of 3 classes, few 1 image of 1 class"
    assert list(notes(["mixture"], COLUMNS, tested)) == [line]
    assert list(notes(["mixture", "visual.balanced_probe"], COLUMNS, None)) == [ECE_OF_PROBES]
    assert list(notes(["joint_balanced_probe"], BALANCED, None)) == []
