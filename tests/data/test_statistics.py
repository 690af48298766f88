import json
from pathlib import Path

import numpy as np
import pytest

from lptpp.data.dataset import ImageDataset, Split
from lptpp.data.statistics import (
    better_thresholds,
    describe_shots,
    gini,
    imbalance_factor,
    shots,
    suggested_thresholds,
    summary,
)


def test_shots_at_the_thresholds() -> None:
    counts = np.array([0, 1, 19, 20, 100, 101, 5000])
    assert shots(counts).tolist() == ["few", "few", "few", "medium", "medium", "many", "many"]
    assert shots(counts, (1, 19)).tolist() == ["few", "medium", "medium", "many", "many", "many", "many"]


def test_suggested_thresholds_give_three_groups_of_about_a_third() -> None:
    assert suggested_thresholds(np.arange(1, 10)) == (4, 6)
    counts = np.array([0, 0, 1, 1, 1, 1, 2, 50])
    assert sorted(set(shots(counts, suggested_thresholds(counts)).tolist())) == ["few", "many", "medium"]
    draws = np.random.default_rng(0).geometric(0.1, (200, 12)) - 1
    for counts in draws:
        assert len(set(shots(counts, suggested_thresholds(counts)).tolist())) == 3
    assert suggested_thresholds(np.array([0, 3, 3, 5])) is None
    assert suggested_thresholds(np.array([], dtype=int)) is None


FEW = "{} of the {} classes with training images are few-shot."


@pytest.mark.parametrize(
    "counts, sentence, setting",
    [
        ([19, 12, 8, 6, 0, 0], "All classes are few-shot.", "[8,12]"),
        ([300, 200, 101, 0], "All classes are many-shot.", "[200,200]"),
        ([90, 50, *range(2, 18)], FEW.format(16, 18), None),  # 89%
        ([90, *range(1, 18), 0], FEW.format(17, 18), "[7,12]"),
        ([20, *range(1, 10)], FEW.format(9, 10), "[4,7]"),
        ([500, *[1] * 17, 2], FEW.format(18, 19), "[2,2]"),  # 17 of 19 would still be few-shot
        ([500, 50, *[1] * 18], FEW.format(18, 20), None),  # nothing splits equal counts
        ([], "", None),
    ],
)
def test_better_thresholds_are_suggested_if_a_group_has_nearly_all_classes(
    counts: list[int], sentence: str, setting: str | None
) -> None:
    expected = None if setting is None else (sentence, f"evaluation.shot_thresholds={setting}")
    assert better_thresholds(np.array(counts, dtype=int), (20, 100)) == expected
    if setting is not None:
        assert better_thresholds(np.array(counts), json.loads(setting)) is None


def test_thresholds_in_words() -> None:
    expected = "many: more than 100 training images, medium: 20 to 100, few: fewer than 20"
    assert describe_shots() == expected
    assert "more than 7 " in describe_shots((3, 7))


def test_imbalance_factor_ignores_empty_classes() -> None:
    assert imbalance_factor(np.array([0, 4, 10, 2])) == 5.0
    assert imbalance_factor(np.array([3, 3])) == 1.0


@pytest.mark.parametrize("counts", [[5, 5, 5], [0, 0, 9], [500, 30, 7, 7, 1], [1, 2, 3, 4]])
def test_gini_is_half_the_relative_mean_difference(counts: list[int]) -> None:
    pairs = sum(abs(a - b) for a in counts for b in counts)
    literal = pairs / (2 * len(counts) ** 2 * (sum(counts) / len(counts)))
    assert gini(np.array(counts)[::-1]) == pytest.approx(literal)


def test_summary() -> None:
    labels = np.repeat([0, 1, 3], [150, 50, 2])
    train = Split([Path(f"{i}.png") for i in range(202)], labels)
    test = Split([Path("a.png"), Path("b.png")], np.array([1, 2]))
    messages = summary(ImageDataset(["a", "b", "c", "d"], train, None, test))
    assert messages["classes"] == 4
    assert messages["images"] == {"train": 202, "test": 2}
    assert messages["largest"] == ("a", 150)
    assert messages["smallest"] == ("c", 0)
    assert messages["imbalance_factor"] == 75.0
    assert messages["shots"] == {"many": 1, "medium": 1, "few": 2}
    assert messages["without_training_images"] == ["c"]
    assert messages["counts"] == {"a": 150, "b": 50, "c": 0, "d": 2}
    assert messages["shot_thresholds"] == describe_shots()
    assert messages["gini"] == gini(np.array([150, 50, 0, 2]))
