"""What comes before the first step: of which images class means are, and that each expert waits for its turn."""

import numpy as np
import pytest

from lptpp.training import fit as training
from lptpp.training import inputs
from lptpp.training.cross_fitting import CrossFitting
from lptpp.training.inputs import averaged_per_class
from tests.training.test_cross_fitting import training as made_training


@pytest.mark.parametrize(
    ("images", "classes", "setting", "each"),
    [
        (20_000, 10, "auto", 0),
        (20_001, 10, "auto", 100),
        (30_000, 3000, "auto", 1),
        (30_000, 10, "0", 0),
        (30_000, 10, "7", 7),
        (10, 10, "7", 7),
    ],
)
def test_of_many_images_a_sample_of_each_class_is_averaged(images, classes, setting, each):
    assert averaged_per_class(np.arange(images) % classes, setting) == each


@pytest.mark.parametrize(("setting", "each"), [("auto", 2), ("3", 3), ("0", 99)])
def test_the_classifier_starts_from_the_images_of_the_settings(setting, each, settings_of, tmp_path, monkeypatch):
    monkeypatch.setattr(inputs, "FEW", 10)  # 17 images: 8, 5, 3 and 1
    monkeypatch.setattr(inputs, "SAMPLE", 8)
    made = made_training(settings_of(tmp_path / "run", f"experts.visual.mean_images={setting}"))
    labels = made.inputs.cache.split.labels
    rows = made.inputs.averaged("visual")
    assert np.bincount(labels[rows]).tolist() == [min(each, count) for count in (8, 5, 3, 1)]
    features, found = made.inputs.frozen("visual")()
    assert found.tolist() == labels[rows].tolist()
    kept = np.arange(0, 17, 2)
    of_fold, labels_of_fold = CrossFitting(made.settings, made.inputs, made.accelerator, bool)._frozen("visual", kept)
    assert labels_of_fold.tolist() == labels[[row for row in rows if row in kept]].tolist()
    assert of_fold.tolist() == [
        one for one, row in zip(features.tolist(), rows.tolist(), strict=True) if row in kept.tolist()
    ]


def test_the_class_means_of_the_second_expert_wait_until_the_first_is_trained(settings_of, tmp_path, monkeypatch):
    made = made_training(settings_of(tmp_path / "run", "phase1.epochs=1", "phase2.epochs=1"))
    started, start = {}, training.start_head

    def note(expert, settings, frozen, names):
        name = next(name for name, one in made.mixture.experts.items() if one is expert)
        started[name] = made.recorder.steps
        start(expert, settings, frozen, names)

    monkeypatch.setattr(training, "start_head", note)
    made.run()
    assert list(started) == ["visual", "language"]
    assert started["visual"] == 0 < started["language"]
