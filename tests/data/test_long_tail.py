import math
from pathlib import Path

import numpy as np
import pytest

from lptpp.data import load_collection
from lptpp.data.dataset import Collection, Split
from lptpp.data.long_tail import draw_long_tail, long_tail, tail_by_size
from lptpp.utils.errors import UserError

ARGUMENTS = {"profile": "exponential", "split_seed": 0}


@pytest.mark.parametrize("factor", [1, 2, 10, 49, 50, 100, 128.5, 200])
@pytest.mark.parametrize(("classes", "largest"), [(10, 5000), (100, 500), (3, 490)])
def test_long_tail_is_the_published_formula(factor: float, classes: int, largest: int) -> None:
    counts = np.full(classes, largest)
    exponential = [math.floor(largest * factor ** (-c / (classes - 1)) + 1e-9) for c in range(classes)]
    step = [largest if c < classes // 2 else math.floor(largest / factor) for c in range(classes)]
    assert long_tail(counts, factor, "exponential").tolist() == exponential
    assert long_tail(counts, factor, "step").tolist() == step


def test_totals_that_the_literature_reports() -> None:
    assert long_tail(np.full(100, 500), 100, "exponential").sum() == 10847
    assert long_tail(np.full(10, 5000), 100, "exponential").sum() == 12406


def test_a_class_with_too_few_images_keeps_them_all() -> None:
    assert long_tail(np.array([100, 20, 10]), 10, "exponential").tolist() == [100, 20, 10]


@pytest.mark.parametrize(("factor", "profile", "words"), [(0.5, "step", "at least 1"), (10, "stepp", "mean step")])
def test_refuses_a_factor_below_one_and_an_unknown_profile(factor: float, profile: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        long_tail(np.full(3, 10), factor, profile)


def slow_sizes(counts: list[int], factor: float, profile: str) -> list[int]:
    """One class after the other, the largest first."""
    order = sorted((c for c in range(len(counts)) if counts[c]), key=lambda c: (-counts[c], c))
    sizes = [0] * len(counts)
    for place, c in enumerate(order):
        if profile == "step":
            wanted = counts[order[0]] / (factor if place >= len(order) // 2 else 1)
        else:
            wanted = counts[order[0]] / factor ** (place / (len(order) - 1) if place else 0)
        sizes[c] = min(counts[c], max(1, math.floor(wanted)))
    return sizes


@pytest.mark.parametrize("profile", ["exponential", "step"])
@pytest.mark.parametrize("factor", [1.0, 3.0, 50.0, 1000.0])
@pytest.mark.parametrize("counts", [[7], [5, 5, 5], [0, 3, 40, 1, 40, 0, 12], [1, 200, 60, 60, 60, 90, 200, 2]])
def test_the_largest_class_comes_first(counts: list[int], factor: float, profile: str) -> None:
    assert tail_by_size(np.array(counts), factor, profile).tolist() == slow_sizes(counts, factor, profile)


def test_a_tail_that_is_drawn_is_not_shortened_again() -> None:
    counts = tail_by_size(np.full(100, 500), 100.0, "exponential")
    assert tail_by_size(counts, 100.0, "exponential").tolist() == counts.tolist()


def numbered(counts: list[int]) -> Split:
    """Return pictures named by their class and a number, in mixed order."""
    pairs = [(c, i) for c, count in enumerate(counts) for i in range(count)]
    pairs = [pairs[i] for i in np.random.default_rng(0).permutation(len(pairs))]
    return Split([Path(f"{c}/{i}.png") for c, i in pairs], np.array([c for c, _ in pairs]))


def test_it_draws_from_the_training_part_alone_in_its_order_and_by_its_seed() -> None:
    whole = Collection(["a", "b", "c"], numbered([10, 40, 20]), numbered([2, 2, 2]), numbered([3, 3, 3]))
    drawn, again, other = (draw_long_tail(whole, 20.0, "exponential", seed) for seed in (0, 0, 1))
    assert drawn.counts().tolist() == [2, 40, 8]  # 40 / 20, 40, ⌊40 / √20⌋
    assert drawn.train.images == again.train.images != other.train.images
    places = [whole.train.images.index(image) for image in drawn.train.images]
    assert places == sorted(places)
    assert [int(str(image)[0]) for image in drawn.train.images] == drawn.train.labels.tolist()
    assert (drawn.validation, drawn.test) == (whole.validation, whole.test)


@pytest.fixture
def root(tmp_path: Path) -> str:
    for name, size in {"elm": 20, "oak": 40, "ash": 40}.items():
        (tmp_path / name).mkdir()
        for i in range(size):
            (tmp_path / name / f"{i}.png").touch()
    return str(tmp_path)


@pytest.mark.parametrize(
    ("given", "counts"),
    [
        ({}, [28, 14, 28]),
        ({"factor": 16.0}, [28, 1, 7]),
        ({"factor": 16.0, "profile": "step"}, [28, 1, 1]),
    ],
)
def test_a_source_is_drawn_after_its_test_part_and_before_its_validation_part(
    root: str, given: dict, counts: list[int]
) -> None:
    whole = load_collection("folder", 0.0, **ARGUMENTS | {"root": root, "test": 0.3} | given)
    assert whole.class_names == ["ash", "elm", "oak"]
    assert whole.counts().tolist() == counts
    assert whole.test is not None
    assert whole.test.counts(3).tolist() == [12, 6, 12]
    parted = load_collection("folder", 0.25, **ARGUMENTS | {"root": root, "test": 0.3} | given)
    assert parted.validation is not None
    assert (parted.counts() + parted.validation.counts(3)).tolist() == counts
    assert parted.validation.counts(3).tolist() == [min(n - 1, round(n / 4)) for n in counts]
    assert set(parted.train.images) | set(parted.validation.images) == set(whole.train.images)


def test_cifar_draws_its_own_tail_in_class_order_by_a_hundred_if_no_factor_is_given(tmp_path: Path) -> None:
    for part in ("train", "test"):
        for name, size in {"bee": 40, "cat": 200, "dog": 200}.items():
            (tmp_path / part / name).mkdir(parents=True)
            for i in range(size if part == "train" else 1):
                (tmp_path / part / name / f"{i}.png").touch()
    counts = {
        factor: load_collection("cifar10_lt", 0.0, **ARGUMENTS | {"root": str(tmp_path), "factor": factor}).counts()
        for factor in (None, 100.0, 4.0)
    }
    assert {factor: found.tolist() for factor, found in counts.items()} == {
        None: [40, 20, 2],
        100.0: [40, 20, 2],
        4.0: [40, 100, 50],
    }
