import numpy as np
import pytest
import torch

from lptpp.backbones import load_backbone
from lptpp.data.cache import ImageCache
from lptpp.data.dataset import Split
from lptpp.data.transforms import evaluation_transform
from lptpp.evaluation import baselines
from lptpp.evaluation.baselines import baseline_rankings, linear_probe, nearest_mean, zero_shot
from lptpp.evaluation.table import ResultRow
from lptpp.inference.pipeline import frozen_features
from lptpp.inference.runtime import Runner

NAMES = ["apple", "polar bear", "car", "dog", "cloud", "chair"]
TEMPLATES = ["a photo of a {}.", "a {}"]


def clusters(labels: list[int], seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    centers = torch.eye(6)[torch.tensor(labels)] * 3
    noise = torch.randn(len(labels), 6, generator=torch.Generator().manual_seed(seed))
    return centers + noise, torch.tensor(labels)


def test_zero_shot_is_clip_written_out(trained, cards):
    backbone = load_backbone("language", "clip_random", str(cards / "clip_random.safetensors"))
    clip = backbone.text
    images = torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    expert = trained.mixture.experts["language"]
    with torch.no_grad():
        features = backbone.tower(images)
        unit = features / features.norm(dim=1, keepdim=True)
        rows = []
        for name in NAMES:
            texts = [clip.model.encode_text(clip.tokenizer([template.format(name)])) for template in TEMPLATES]
            mean = sum(text / text.norm() for text in texts)
            rows.append((mean / mean.norm())[0])
        logits = clip.model.logit_scale.exp() * unit @ torch.stack(rows).T
        expected = logits.softmax(1).sort(1, descending=True)
        found = zero_shot(expert, features, NAMES, TEMPLATES)
    assert found.classes.tolist() == expected.indices[:, :5].tolist()
    np.testing.assert_allclose(found.probabilities, expected.values[:, :5].numpy(), rtol=1e-4)


def test_nearest_mean_is_the_cosine_to_the_mean_unit_feature():
    features = {"train": clusters([0, 0, 0, 2, 4, 4], 1), "test": clusters([0, 2, 4], 2)}
    train, labels = features["train"]
    rows = []
    for image in features["test"][0]:
        cosines = []
        for c in range(6):
            units = [one / one.norm() for one, label in zip(train, labels, strict=True) if label == c]
            mean = sum(units, torch.zeros(6))
            cosines.append(float(image @ mean) / float(image.norm() * mean.norm()) if mean.any() else 0.0)
        powers = np.exp(7.0 * np.array(cosines))
        rows.append(np.sort(powers / powers.sum())[::-1][:5])
    found = nearest_mean(features, "test", 6, 7.0)
    np.testing.assert_allclose(found.probabilities, np.stack(rows), rtol=1e-4)
    assert found.classes[:, 0].tolist() == [0, 2, 4]


class Probe:
    """A classifier whose strength decides all it says; it notes which images it is scored on."""

    scored: list[float] = []  # noqa: RUF012
    right = {0.1: 0.2, 1.0: 0.9, 10.0: 0.4, 100.0: 0.3}  # noqa: RUF012

    def __init__(self, features: np.ndarray, labels: np.ndarray, strength: float) -> None:
        self.strength, self.classes_ = strength, np.unique(labels)

    def score(self, features: np.ndarray, labels: np.ndarray) -> float:
        assert labels.tolist() == [0, 2]  # those of the validation part
        self.scored.append(self.strength)
        return self.right[self.strength]

    def predict_proba(self, features: np.ndarray) -> np.ndarray:
        return np.tile([1 - self.strength / 1000, self.strength / 1000], (len(features), 1))


def test_the_linear_probe_chooses_its_strength_on_validation_only(monkeypatch):
    monkeypatch.setattr(baselines, "_fit", Probe)
    parts = {"train": clusters([0, 0, 2], 0), "validation": clusters([0, 2], 1), "test": clusters([2, 2, 2], 2)}
    Probe.scored.clear()
    found = linear_probe(parts, "test", 3, "visual")
    assert Probe.scored == [0.1, 1.0, 10.0, 100.0]
    assert found.probabilities[0].tolist() == pytest.approx([0.999, 0.001, 0.0])
    Probe.scored.clear()
    found = linear_probe({part: parts[part] for part in ("train", "test")}, "test", 3, "visual")
    assert Probe.scored == []
    assert found.probabilities[0, 1] == pytest.approx(0.01)


def test_a_class_without_training_images_gets_no_probability():
    parts = {"train": clusters([0, 0, 0, 2, 2, 4, 4], 0), "test": clusters([0, 1, 2, 3, 4], 1)}
    found = linear_probe(parts, "test", 6, "visual")
    assert found.classes.shape == (5, 5)
    by_class = np.zeros((5, 6))
    np.put_along_axis(by_class, found.classes, found.probabilities, axis=1)
    assert by_class[:, [1, 3, 5]].max() == 0
    np.testing.assert_allclose(by_class.sum(1), 1, rtol=1e-5)
    assert found.classes[[0, 2, 4], 0].tolist() == [0, 2, 4]


def test_a_probe_fitted_in_full_equals_sklearn(monkeypatch):
    from sklearn.linear_model import LogisticRegression

    train, test = clusters([0, 1, 2] * 8, 0), clusters([0, 1, 2], 1)
    unit = [(x / x.norm(dim=1, keepdim=True)).numpy() for x in (train[0], test[0])]
    expected = LogisticRegression(C=10.0, max_iter=300).fit(unit[0], train[1].numpy()).predict_proba(unit[1])
    found = linear_probe({"train": train, "test": test}, "test", 3, "visual")
    np.testing.assert_allclose(found.probabilities, -np.sort(-expected, axis=1), rtol=1e-5)


def test_the_baselines_stand_on_the_backbone_as_it_came(trained, pictures, cards):
    """Prompts and adapters, trained or not, play no part."""
    expert = trained.mixture.experts["visual"]
    split = Split(sorted(pictures.glob("test/*/*.png")), np.arange(12) // 3)
    found, labels = frozen_features(expert, ImageCache(split, 0), Runner(torch.device("cpu"), batch_size=5), "features")
    backbone = load_backbone("vision", "vision_random", str(cards / "vision_random.safetensors"))
    transform = evaluation_transform(backbone.preprocessing)
    images = torch.stack([transform(ImageCache(split, 0).load(i)) for i in range(12)])
    with torch.no_grad():
        torch.testing.assert_close(found, backbone.tower(images), rtol=1e-4, atol=1e-5)
    assert labels.tolist() == split.labels.tolist()


def test_only_wanted_rows_of_frozen_backbones_are_made(trained, pictures):
    split = Split(sorted(pictures.glob("test/*/*.png")), np.arange(12) // 3)
    parts = {"test": ImageCache(split, 0)}
    templates = {"visual": TEMPLATES, "language": TEMPLATES}
    arguments = (trained.mixture, parts, "test", NAMES[:4], templates)
    runner = Runner(torch.device("cpu"))
    rows = [row for row, _ in baseline_rankings(*arguments, ["zero_shot"], runner)]
    assert rows == [ResultRow("zero_shot", "language")]
    assert list(baseline_rankings(*arguments, [], runner)) == []
