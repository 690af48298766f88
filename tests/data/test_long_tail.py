import math
from pathlib import Path

import numpy as np
import pytest

from lptpp.data.dataset import ImageDataset, Split
from lptpp.data.long_tail import draw_long_tail, long_tail_sizes, sorted_long_tail_sizes
from lptpp.data.sources import read_source
from lptpp.utils.errors import UserError

ARGUMENTS = {"profile": "exponential", "split_seed": 0}


@pytest.mark.parametrize("factor", [1, 2, 10, 49, 50, 100, 128.5, 200])
@pytest.mark.parametrize(("classes", "largest"), [(10, 5000), (100, 500), (3, 490)])
def test_long_tail_is_the_published_formula(factor: float, classes: int, largest: int) -> None:
    counts = np.full(classes, largest)
    exponential = [math.floor(largest * factor ** (-c / (classes - 1)) + 1e-9) for c in range(classes)]
    step = [largest if c < classes // 2 else math.floor(largest / factor) for c in range(classes)]
    assert long_tail_sizes(counts, factor, "exponential").tolist() == exponential
    assert long_tail_sizes(counts, factor, "step").tolist() == step


def test_totals_that_the_literature_reports() -> None:
    assert long_tail_sizes(np.full(100, 500), 100, "exponential").sum() == 10847
    assert long_tail_sizes(np.full(10, 5000), 100, "exponential").sum() == 12406


def test_a_class_with_too_few_images_keeps_them_all() -> None:
    assert long_tail_sizes(np.array([100, 20, 10]), 10, "exponential").tolist() == [100, 20, 10]


@pytest.mark.parametrize(("factor", "profile", "words"), [(0.5, "step", "data.factor"), (10, "stepp", "data.profile")])
def test_refuses_a_factor_below_one_and_an_unknown_profile(factor: float, profile: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        long_tail_sizes(np.full(3, 10), factor, profile)


def slow_sizes(counts: list[int], factor: float, profile: str) -> list[int]:
    """Literal reference: class by class, the largest first."""
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
    assert sorted_long_tail_sizes(np.array(counts), factor, profile).tolist() == slow_sizes(counts, factor, profile)


def test_a_long_tail_is_not_shortened_again() -> None:
    counts = sorted_long_tail_sizes(np.full(100, 500), 100.0, "exponential")
    assert sorted_long_tail_sizes(counts, 100.0, "exponential").tolist() == counts.tolist()


def split_of(counts: list[int]) -> Split:
    """Return images named by class and number, shuffled."""
    pairs = [(c, i) for c, count in enumerate(counts) for i in range(count)]
    pairs = [pairs[i] for i in np.random.default_rng(0).permutation(len(pairs))]
    return Split([Path(f"{c}/{i}.png") for c, i in pairs], np.array([c for c, _ in pairs]))


def test_only_the_training_split_is_drawn_in_its_order_and_by_the_seed() -> None:
    whole = ImageDataset(["a", "b", "c"], split_of([10, 40, 20]), split_of([2, 2, 2]), split_of([3, 3, 3]))
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
def test_the_test_split_is_drawn_before_the_long_tail_and_the_validation_split_after(
    root: str, given: dict, counts: list[int]
) -> None:
    whole = read_source("folder", 0.0, **ARGUMENTS | {"root": root, "test": 0.3} | given)
    assert whole.class_names == ["ash", "elm", "oak"]
    assert whole.counts().tolist() == counts
    assert whole.test is not None
    assert whole.test.counts(3).tolist() == [12, 6, 12]
    divided = read_source("folder", 0.25, **ARGUMENTS | {"root": root, "test": 0.3} | given)
    assert divided.validation is not None
    assert (divided.counts() + divided.validation.counts(3)).tolist() == counts
    assert divided.validation.counts(3).tolist() == [min(n - 1, round(n / 4)) for n in counts]
    assert set(divided.train.images) | set(divided.validation.images) == set(whole.train.images)


def test_cifar_follows_the_class_order_with_a_default_factor_of_100(tmp_path: Path) -> None:
    for split in ("train", "test"):
        for name, size in {"bee": 40, "cat": 200, "dog": 200}.items():
            (tmp_path / split / name).mkdir(parents=True)
            for i in range(size if split == "train" else 1):
                (tmp_path / split / name / f"{i}.png").touch()
    counts = {
        factor: read_source("cifar10_lt", 0.0, **ARGUMENTS | {"root": str(tmp_path), "factor": factor}).counts()
        for factor in (None, 100.0, 4.0)
    }
    assert {factor: found.tolist() for factor, found in counts.items()} == {
        None: [40, 20, 2],
        100.0: [40, 20, 2],
        4.0: [40, 100, 50],
    }
