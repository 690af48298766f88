from pathlib import Path

import numpy as np
import pytest

from lptpp.data.dataset import ImageDataset, Split
from lptpp.data.split import draw_split, stratified_split
from lptpp.utils.errors import UserError

LABELS = np.repeat([0, 1, 2, 3, 4], [50, 10, 3, 2, 1])[np.random.default_rng(0).permutation(66)]


@pytest.mark.parametrize("share", [0.0, 0.1, 0.2, 0.5, 0.99])
def test_draws_the_rounded_share_of_every_class_but_never_the_last_image(share: float) -> None:
    kept, drawn = stratified_split(LABELS, share, seed=3)
    assert sorted([*kept, *drawn]) == list(range(66))
    assert kept.tolist() == sorted(kept)
    assert drawn.tolist() == sorted(drawn)
    for label, n in enumerate([50, 10, 3, 2, 1]):
        assert sum(LABELS[i] == label for i in drawn) == min(n - 1, round(n * share))


def test_depends_on_the_seed_alone() -> None:
    first, again, other = (stratified_split(LABELS, 0.3, seed)[1].tolist() for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_the_draw_of_a_class_does_not_depend_on_the_others() -> None:
    alone = stratified_split(np.array([7] * 20), 0.25, seed=0)[1]
    beside = stratified_split(np.array([7] * 20 + [8] * 9), 0.25, seed=0)[1]
    assert alone.tolist() == beside[beside < 20].tolist()


def test_classes_of_one_size_are_drawn_differently() -> None:
    drawn = stratified_split(np.repeat(np.arange(5), 30), 0.5, seed=0)[1]
    assert len({tuple(i - 30 * c for i in drawn if i // 30 == c) for c in range(5)}) == 5


@pytest.mark.parametrize("share", [-0.1, 1.0, 2.0])
def test_refuses_a_share_outside_zero_to_one(share: float) -> None:
    with pytest.raises(UserError, match=r"data\.test.*below 1"):
        stratified_split(LABELS, share, seed=0)


def test_draw_split_moves_images_from_train() -> None:
    images = [Path(f"{i}.png") for i in range(66)]
    whole = ImageDataset(list("abcde"), Split(images, LABELS), None, None)
    drawn = draw_split(whole, "validation", 0.2, seed=0)
    assert drawn.test is None
    assert drawn.validation is not None
    assert sorted([*drawn.train.images, *drawn.validation.images]) == sorted(images)
    assert drawn.validation.counts(5).tolist() == [10, 2, 1, 0, 0]
    for split in (drawn.train, drawn.validation):
        assert [LABELS[images.index(image)] for image in split.images] == split.labels.tolist()


def test_draw_split_without_drawn_images_is_none() -> None:
    whole = ImageDataset(["a", "b"], Split([Path("0"), Path("1")], np.array([0, 1])), None, None)
    assert draw_split(whole, "test", 0.4, seed=0).test is None
