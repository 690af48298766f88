"""Intervals of the differences between the result and the other rows."""

from types import SimpleNamespace

import numpy as np
import pytest

from lptpp.evaluation.differences import intervals_by_row, is_undecided
from lptpp.evaluation.table import ResultRow

MIXTURE, OTHER = ResultRow("mixture"), ResultRow("phase1", "visual")


def differences(wrong: int, images: int, counts: list[int]) -> dict:
    """Return the intervals if the result errs on the first `wrong` images, all of class 1, and the other row never."""
    labels = np.array([1] * images)
    own = labels.copy()
    own[:wrong] = 0
    rankings = {MIXTURE: SimpleNamespace(classes=own[:, None]), OTHER: SimpleNamespace(classes=labels[:, None])}
    evaluation = SimpleNamespace(rankings=rankings, labels=labels, result=MIXTURE)
    return {"differences": intervals_by_row(evaluation, np.array(counts), (20, 100))}  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("wrong", "images", "undecided"), [(0, 10, True), (1, 10, True), (3, 100, True), (9, 30, False)]
)
def test_a_difference_of_a_few_images_is_undecided(wrong: int, images: int, undecided: bool) -> None:
    found = differences(wrong, images, [500, 5])
    low, high = found["differences"]["visual.phase1"]["overall"]
    assert low <= -100 * wrong / (images + 2) <= high
    for measure in ("overall", "mean_class", "few"):
        assert is_undecided(found, "visual.phase1", measure) == undecided


def test_there_is_no_interval_without_images_of_few_shot_classes_nor_for_the_result() -> None:
    found = differences(1, 10, [5, 500])
    assert list(found["differences"]) == ["visual.phase1"]
    assert list(found["differences"]["visual.phase1"]) == ["overall"]
    assert not is_undecided(found, "visual.phase1", "few") and not is_undecided({}, "visual.phase1", "overall")
