import numpy as np
import pytest
from scipy.stats import chisquare

from lptpp.samplers import SAMPLERS, Sampler, class_shares
from lptpp.training.dual_sampling import dual_weight
from lptpp.utils.errors import UserError

COUNTS = np.array([600, 0, 120, 25, 3, 1, 0])
DRAWING = [kind for kind in SAMPLERS if kind not in ("instance_balanced", "class_aware")]  # each draw by itself


def shuffled_labels(counts: np.ndarray = COUNTS) -> np.ndarray:
    return np.random.default_rng(2).permutation(np.repeat(np.arange(len(counts)), counts))


def many_draws(kind: str, epochs: int = 100) -> np.ndarray:
    sampler = Sampler(shuffled_labels(), len(COUNTS), kind)
    generator = np.random.default_rng(7)
    return np.concatenate([sampler.order(generator) for _ in range(epochs)])


@pytest.mark.parametrize(
    "kind, weight",
    [
        ("instance_balanced", lambda n: n),
        ("class_balanced", lambda n: 1),
        ("class_aware", lambda n: 1),
        ("square_root", lambda n: n**0.5),
        ("effective_number", lambda n: sum(0.9999**i for i in range(n))),
    ],
)
def test_shares_equal_the_formula(kind, weight):
    weights = [weight(n) if n > 0 else 0 for n in COUNTS.tolist()]
    assert class_shares(COUNTS, kind) == pytest.approx([w / sum(weights) for w in weights], rel=1e-9)


@pytest.mark.parametrize("kind", SAMPLERS)
def test_classes_are_drawn_in_their_shares_and_empty_ones_never(kind):
    drawn = np.bincount(shuffled_labels()[many_draws(kind)], minlength=len(COUNTS))
    assert (drawn[COUNTS == 0] == 0).all()
    expected = class_shares(COUNTS, kind) * drawn.sum()
    assert chisquare(drawn[COUNTS > 0], expected[COUNTS > 0]).pvalue > 1e-3


class LowestDraws:
    def random(self, size: int) -> np.ndarray:
        return np.zeros(size)

    def integers(self, high: np.ndarray) -> np.ndarray:
        assert (high > 0).all()
        return np.zeros_like(high)


@pytest.mark.parametrize("kind", DRAWING)
def test_the_lowest_draw_passes_over_an_empty_first_class(kind):
    assert Sampler(np.array([1, 2]), 3, kind).order(LowestDraws()).tolist() == [0, 0]


@pytest.mark.parametrize("kind", [*DRAWING, "class_aware"])
def test_the_images_of_a_class_are_drawn_equally_often(kind):
    labels = shuffled_labels()
    times = np.bincount(many_draws(kind), minlength=len(labels))
    for label in np.flatnonzero(COUNTS > 1):
        assert chisquare(times[labels == label]).pvalue > 1e-4


@pytest.mark.parametrize("kind", SAMPLERS)
def test_an_epoch_has_as_many_draws_as_images_and_depends_on_the_generator_alone(kind):
    sampler = Sampler(shuffled_labels(), len(COUNTS), kind)
    first, again, other = (sampler.order(np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert first.shape == (COUNTS.sum(),)
    assert (first == again).all() and (first != other).any()


def test_instance_balanced_takes_each_image_once():
    sampler = Sampler(shuffled_labels(), len(COUNTS), "instance_balanced")
    order = sampler.order(np.random.default_rng(0))
    assert (np.sort(order) == np.arange(COUNTS.sum())).all()


@pytest.mark.parametrize("counts", [COUNTS, np.array([5, 4]), np.array([0, 1]), np.ones(30, dtype=int)], ids=str)
def test_class_aware_takes_four_images_of_every_class_in_turn(counts):
    labels = shuffled_labels(counts)
    order = Sampler(labels, len(counts), "class_aware").order(np.random.default_rng(3)).tolist()
    drawn = [labels[image] for image in order]
    groups = [drawn[start : start + 4] for start in range(0, len(drawn), 4)]
    assert all(len(set(group)) == 1 for group in groups)
    firsts, present = [group[0] for group in groups], int((counts > 0).sum())
    for start in range(0, len(firsts), present):  # a round: every class once
        assert len(set(firsts[start : start + present])) == len(firsts[start : start + present])
    for label in set(drawn):  # the images of a class: all of them before one comes again
        own = [image for image in order if labels[image] == label]
        for start in range(0, len(own), counts[label]):
            assert len(set(own[start : start + counts[label]])) == len(own[start : start + counts[label]])


def test_class_aware_draws_rounds_and_images_in_another_order_each_time():
    labels = np.repeat(np.arange(6), 40)
    drawn = Sampler(labels, 6, "class_aware").order(np.random.default_rng(0)).reshape(10, 6, 4)  # rounds of six classes
    assert len({tuple(one) for one in labels[drawn[:, :, 0]]}) == 10
    assert not (np.sort(drawn.ravel()[labels[drawn.ravel()] == 0]) == drawn.ravel()[labels[drawn.ravel()] == 0]).all()


@pytest.mark.parametrize("kind", SAMPLERS)
def test_every_draw_of_a_large_collection_is_an_image_of_a_class_that_has_some(kind):
    counts = np.random.default_rng(4).integers(0, 60, size=8142)
    labels = shuffled_labels(counts)
    order = Sampler(labels, len(counts), kind).order(np.random.default_rng(0))
    assert order.min() >= 0 and order.max() < len(labels)


@pytest.mark.parametrize(
    "kind, words", [("class_balance", r"class_balance: .*class_balanced"), ("no", r"no: .*square_root")]
)
def test_an_unknown_kind_is_refused_with_what_was_meant(kind, words):
    with pytest.raises(UserError, match=words):
        Sampler(shuffled_labels(), len(COUNTS), kind)


def test_no_image_is_refused():
    with pytest.raises(UserError, match="empty"):
        Sampler(np.array([], dtype=np.int64), 3, "class_balanced")


def test_dual_weight_falls_linearly():
    assert [dual_weight(t, 4) for t in range(4)] == [0.5, 0.375, 0.25, 0.125]
    assert dual_weight(3, 10, start=2.0) == pytest.approx(2.0 * 7 / 10)
