"""What the scorer learns from: views of training images, or images that the experts never saw."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from lptpp.config import ScorerSettings
from lptpp.data.dataset import Split
from lptpp.data.prepare import load_dataset
from lptpp.inference.runtime import Runner
from lptpp.models.build import build_mixture
from lptpp.training.inputs import TrainingInputs, held_back
from lptpp.training.scorer_phase import (
    MEASURED,
    MOST_NUMBERS,
    ScorerRows,
    of_true_classes,
    scorer_data,
    scorer_draws,
)
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
    draws = made.scorer_draws()
    assert len(draws.epochs[0]) == len(held) >= len(draws.taken())
    assert draws.taken().max() < len(held)


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
    data = made.scorer_data()
    (order,) = scorer_draws(made.cache.split.labels, made.settings.phase3, made.settings.seed).epochs
    assert len(order) == 34 and len(data.targets) == len(set(order.tolist())) < 34
    made.settings.phase3.sampler = "instance_balanced"
    whole = made.scorer_data()
    assert len(whole.targets) == 34
    for taken, all_of_them in zip(data.features, whole.features, strict=True):
        torch.testing.assert_close(taken[data.draws.epochs[0]], all_of_them[order], rtol=0, atol=1e-5)
    torch.testing.assert_close(data.confidences[data.draws.epochs[0]], whole.confidences[order], rtol=0, atol=1e-5)


@pytest.mark.parametrize("wanted", ["phase3.reads=confidences", "phase3.mixes=logits", "evaluation.controls=[mixing]"])
def test_whole_scores_are_kept_only_where_they_are_needed(wanted, settings_of, tmp_path):
    made = training(settings_of(tmp_path, wanted, "phase3.views=0", *EACH))
    whole = made.scorer_data()
    truth = training(settings_of(tmp_path, "phase3.views=0", *EACH)).scorer_data()
    assert whole.confidences.shape == (17, 2, 4)
    assert whole.targets.tolist() == made.cache.split.labels.tolist()
    of_truth = whole.confidences.gather(2, whole.targets[:, None, None].expand(-1, 2, 1))
    torch.testing.assert_close(of_truth, truth.confidences)
    reduced = of_true_classes(ScorerRows(whole.features, whole.confidences, whole.targets))
    assert torch.equal(reduced.confidences, of_truth)
    assert reduced.targets.tolist() == truth.targets.tolist()
    assert of_true_classes(reduced) is reduced


def test_what_standardizes_the_inputs_fits_in_memory(settings_of, tmp_path):
    made = training(settings_of(tmp_path, "phase3.views=0", "phase3.reads=both", *EACH)).scorer_data()
    width = sum(feature.shape[1] for feature in made.features) + 2 * 4
    assert made.measured() == min(MEASURED, MOST_NUMBERS // width)
    assert made.measured() * width * 4 <= 4e8
    wide = replace(made, confidences=torch.zeros(1, 2, 1).expand(1, 2, 10**9))
    assert wide.measured() == 1


LABELS = np.repeat([0, 1, 2, 3], [20, 10, 5, 1])


def test_the_images_that_select_the_epoch_are_drawn_by_no_epoch():
    settings = ScorerSettings(views=3, epochs=4, check=0.4, sampler="instance_balanced")
    draws = scorer_draws(LABELS, settings, seed=0)
    learned, checked = ({row % 36 for row in rows} for rows in (np.concatenate(draws.epochs), draws.check))
    assert not learned & checked and learned | checked == set(range(36))
    assert np.bincount(LABELS[sorted(checked)], minlength=4).tolist() == [8, 4, 2, 0]
    assert draws.check.max() < 36 < max(map(max, draws.epochs))  # as in evaluation: one view


def test_only_usable_images_are_drawn_and_places_are_those_in_the_rows_taken():
    usable = np.arange(0, 36, 3)
    draws = scorer_draws(LABELS, ScorerSettings(views=2, epochs=2, check=0.3), seed=1, usable=usable)
    assert set((draws.taken() % 36).tolist()) <= set(usable.tolist())
    within = draws.within(draws.taken())
    for places, rows in zip([*within.epochs, within.check], [*draws.epochs, draws.check], strict=True):
        assert draws.taken()[places].tolist() == rows.tolist()


def test_parts_are_joined_in_the_order_of_their_rows():
    taken = [np.array([1, 4]), np.array([0, 2, 3])]
    parts = [
        ScorerRows([torch.from_numpy(rows)[:, None]], torch.from_numpy(rows)[:, None, None], torch.from_numpy(rows))
        for rows in taken
    ]
    data = scorer_data(parts, taken, scorer_draws(np.zeros(5, int), ScorerSettings(views=1, epochs=1), 0))
    for tensor in (data.features[0], data.confidences, data.targets):
        assert tensor.flatten().tolist() == [0, 1, 2, 3, 4]
