"""What the scorer learns from: views of training images, or images that the experts never saw."""

import numpy as np
import pytest
import torch

from lptpp.data.dataset import Split
from lptpp.data.prepare import load_dataset
from lptpp.inference.runtime import Runner
from lptpp.models.build import build_mixture
from lptpp.training.inputs import TrainingInputs, held_back
from lptpp.training.phases import scorer_orders
from lptpp.utils.errors import UserError


def training(settings) -> TrainingInputs:
    collection = load_dataset(settings)
    mixture = build_mixture(settings, len(collection.class_names))
    return TrainingInputs(settings, collection, mixture, Runner(torch.device("cpu"), batch_size=64))


def test_what_is_held_back_is_of_every_class_and_never_its_last_image():
    labels = np.repeat([0, 1, 2, 3], [8, 5, 2, 1])
    kept, drawn = held_back(Split([np.zeros((1, 1, 3), np.uint8)] * 16, labels), 0.3, seed=1)
    assert kept.counts(4).tolist() == [6, 3, 1, 1]
    assert drawn.counts(4).tolist() == [2, 2, 1, 0]


def test_a_share_of_nothing_leaves_all_to_both():
    split = Split([np.zeros((1, 1, 3), np.uint8)], np.array([0]))
    assert held_back(split, 0.0, seed=1) == (split, split)
    with pytest.raises(UserError, match=r"phase3\.held_back=0\.3: "):
        held_back(split, 0.3, seed=1)


def test_the_experts_do_not_see_what_is_held_back(settings_of, tmp_path):
    made = training(settings_of(tmp_path, "phase3.held_back=0.3"))
    kept, held = made.cache.split, made.scorer_cache.split
    assert len(kept) + len(held) == 17
    assert not set(kept.images) & set(held.images)
    data = made.training_data("visual")
    assert len(data.views) == len(kept)
    assert data.counts.tolist() == kept.counts(4).tolist()
    taken, orders = made.scorer_draws()
    assert len(orders[0]) == len(held) >= len(taken)
    assert taken.max() < len(held)


EACH = ("phase3.sampler=instance_balanced",)  # an epoch takes each view once


@pytest.mark.parametrize(("views", "images"), [(0, 17), (1, 17), (2, 34)])
def test_views_are_plain_or_augmented(views, images, settings_of, tmp_path):
    data = training(settings_of(tmp_path, f"phase3.views={views}", *EACH)).scorer_data()
    assert data.confidences.shape == (images, 2, 1)
    assert not data.targets.any()
    features = data.features[0]
    assert len(features) == images
    if views == 2:  # each view is another one
        assert not torch.allclose(features[:17], features[17:])


def test_only_views_that_an_epoch_takes_are_looked_at_and_each_as_if_all_were(settings_of, tmp_path):
    made = training(settings_of(tmp_path, "phase3.views=2", "phase3.epochs=1"))
    data, labels = made.scorer_data(), np.tile(made.cache.split.labels, 2)
    (order,) = scorer_orders(labels, made.settings.phase3, made.settings.seed)
    assert len(order) == 34 and len(data.targets) == len(set(order.tolist())) < 34
    made.settings.phase3.sampler = "instance_balanced"
    whole = made.scorer_data()
    assert len(whole.targets) == 34
    for taken, all_of_them in zip(data.features, whole.features, strict=True):
        torch.testing.assert_close(taken[data.orders[0]], all_of_them[order], rtol=0, atol=1e-5)
    torch.testing.assert_close(data.confidences[data.orders[0]], whole.confidences[order], rtol=0, atol=1e-5)


@pytest.mark.parametrize("wanted", ["phase3.reads=logits", "phase3.mixes=logits"])
def test_whole_scores_are_kept_only_where_they_are_needed(wanted, settings_of, tmp_path):
    made = training(settings_of(tmp_path, wanted, "phase3.views=0", *EACH))
    whole = made.scorer_data()
    truth = training(settings_of(tmp_path, "phase3.views=0", *EACH)).scorer_data()
    assert whole.confidences.shape == (17, 2, 4)
    assert whole.targets.tolist() == made.cache.split.labels.tolist()
    of_truth = whole.confidences.gather(2, whole.targets[:, None, None].expand(-1, 2, 1))
    torch.testing.assert_close(of_truth, truth.confidences)
