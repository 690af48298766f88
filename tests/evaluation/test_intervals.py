import numpy as np
import pytest

from lptpp.evaluation.intervals import few_tested, interval, paired_interval, untested, widest

CASES = [(0, 1), (1, 1), (0, 5), (3, 5), (5, 5), (250, 576), (9999, 10000)]


@pytest.mark.parametrize("right, images", CASES)
def test_the_interval_holds_the_accuracies_that_are_within_z_deviations(right: int, images: int) -> None:
    grid = np.linspace(0, 1, 200_001)
    share = right / images
    within = grid[np.abs(share - grid) <= 1.96 * np.sqrt(grid * (1 - grid) / images)]
    assert interval(100 * share, images) == pytest.approx((100 * within.min(), 100 * within.max()), abs=0.002)


def test_the_interval_of_half_right_is_the_widest() -> None:
    for images in (1, 7, 400):
        ends = [interval(100 * right / images, images) for right in range(images + 1)]
        assert widest(images) >= max(high - low for low, high in ends) / 2 - 1e-9
    low, high = interval(50.0, 400)
    assert widest(400) == pytest.approx((high - low) / 2)


@pytest.mark.parametrize("only_first, only_second, both, neither", [(0, 0, 1, 0), (7, 2, 50, 41), (0, 9, 0, 1)])
def test_the_paired_interval_is_the_formula_of_bonett_and_price(
    only_first: int, only_second: int, both: int, neither: int
) -> None:
    pairs = [(1, 0)] * only_first + [(0, 1)] * only_second + [(1, 1)] * both + [(0, 0)] * neither
    first, second = np.array(pairs, dtype=bool).T
    n = len(pairs)
    p1, p2 = (only_first + 1) / (n + 2), (only_second + 1) / (n + 2)
    half = 1.959964 * ((p1 + p2 - (p1 - p2) ** 2) / (n + 2)) ** 0.5
    assert paired_interval(first, second) == pytest.approx((100 * (p1 - p2 - half), 100 * (p1 - p2 + half)), abs=1e-4)
    assert paired_interval(second, first) == pytest.approx(tuple(-end for end in paired_interval(first, second)[::-1]))


def test_the_paired_interval_contains_the_true_difference_in_95_percent_of_samples() -> None:
    random, images, draws = np.random.default_rng(0), 200, 2000
    outcomes = random.choice(4, (draws, images), p=[0.08, 0.03, 0.6, 0.29])  # first, second, both, neither right
    ends = [paired_interval((one == 0) | (one == 2), (one == 1) | (one == 2)) for one in outcomes]
    assert np.mean([low <= 5 <= high for low, high in ends]) == pytest.approx(0.95, abs=0.015)


@pytest.mark.parametrize(
    "tested, small",
    [
        ([200, 200], False),
        ([200, 199], True),
        ([5] * 80, False),
        ([4] * 120, True),
        ([4] * 40 + [600] * 39, True),
        ([4] * 39 + [600] * 40, False),
        ([500, 0, 0, 0], False),  # classes without any are named apart
        ([0, 0], False),
        ([], False),
    ],
)
def test_a_part_is_small_in_all_or_for_most_classes(tested: list[int], small: bool) -> None:
    assert few_tested(np.array(tested, dtype=int)) is small


def test_classes_without_an_image_are_counted_and_named() -> None:
    names = [f"class {i}" for i in range(9)]
    metrics = {"classes": 1000, "classes_tested": 991, "untested_classes": names}
    assert untested(metrics) == f"9 of 1,000: {', '.join(names[:8])} and 1 more"
    assert untested({"classes": 3, "classes_tested": 3, "untested_classes": []}) == ""
