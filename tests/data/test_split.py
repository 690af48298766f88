from pathlib import Path

import numpy as np
import pytest

from lptpp.data.dataset import Collection, Split
from lptpp.data.split import draw_part, stratified_part
from lptpp.utils.errors import UserError

LABELS = np.repeat([0, 1, 2, 3, 4], [50, 10, 3, 2, 1])[np.random.default_rng(0).permutation(66)]


@pytest.mark.parametrize("share", [0.0, 0.1, 0.2, 0.5, 0.99])
def test_takes_the_rounded_share_of_every_class_but_never_its_last_image(share: float) -> None:
    kept, drawn = stratified_part(LABELS, share, seed=3)
    assert sorted([*kept, *drawn]) == list(range(66))
    assert kept.tolist() == sorted(kept)
    assert drawn.tolist() == sorted(drawn)
    for label, n in enumerate([50, 10, 3, 2, 1]):
        assert sum(LABELS[i] == label for i in drawn) == min(n - 1, round(n * share))


def test_depends_on_the_seed_alone() -> None:
    first, again, other = (stratified_part(LABELS, 0.3, seed)[1].tolist() for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_a_class_is_drawn_alike_whatever_the_other_classes() -> None:
    alone = stratified_part(np.array([7] * 20), 0.25, seed=0)[1]
    beside = stratified_part(np.array([7] * 20 + [8] * 9), 0.25, seed=0)[1]
    assert alone.tolist() == beside[beside < 20].tolist()


def test_classes_of_one_size_are_drawn_differently() -> None:
    drawn = stratified_part(np.repeat(np.arange(5), 30), 0.5, seed=0)[1]
    assert len({tuple(i - 30 * c for i in drawn if i // 30 == c) for c in range(5)}) == 5


@pytest.mark.parametrize("share", [-0.1, 1.0, 2.0])
def test_refuses_a_share_outside_zero_to_one(share: float) -> None:
    with pytest.raises(UserError, match="below 1"):
        stratified_part(LABELS, share, seed=0)


def test_draw_part_moves_images_from_train() -> None:
    images = [Path(f"{i}.png") for i in range(66)]
    whole = Collection(list("abcde"), Split(images, LABELS), None, None)
    drawn = draw_part(whole, "validation", 0.2, seed=0)
    assert drawn.test is None
    assert drawn.validation is not None
    assert sorted([*drawn.train.images, *drawn.validation.images]) == sorted(images)
    assert drawn.validation.counts(5).tolist() == [10, 2, 1, 0, 0]
    for part in (drawn.train, drawn.validation):
        assert [LABELS[images.index(image)] for image in part.images] == part.labels.tolist()


def test_draw_part_without_anything_drawn_leaves_no_part() -> None:
    whole = Collection(["a", "b"], Split([Path("0"), Path("1")], np.array([0, 1])), None, None)
    assert draw_part(whole, "test", 0.4, seed=0).test is None
