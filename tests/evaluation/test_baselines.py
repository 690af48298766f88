from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from lptpp.backbones.load import load_backbone
from lptpp.data.cache import ImageCache
from lptpp.data.dataset import Split
from lptpp.data.transforms import evaluation_transform
from lptpp.evaluation import probes
from lptpp.evaluation.baselines import baseline_rankings, nearest_mean, zero_shot
from lptpp.evaluation.table import ResultRow
from lptpp.inference.pipeline import frozen_features
from lptpp.inference.runtime import Runner
from lptpp.models.mixture import Mixture

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


def test_joint_probes_have_the_features_of_all_towers(trained, pictures, caplog):
    caplog.set_level("INFO", "lptpp")
    paths = {name: sorted(pictures.glob(f"{name}/*/*.png")) for name in ("train", "test")}
    classes = sorted({path.parent.name for path in paths["train"]})
    labels = {name: np.array([classes.index(path.parent.name) for path in found]) for name, found in paths.items()}
    parts = {name: ImageCache(Split(paths[name], labels[name]), 0) for name in paths}
    runner = Runner(torch.device("cpu"))
    templates = {"visual": TEMPLATES, "language": TEMPLATES}
    wanted = ["joint_balanced_probe", "joint_linear_probe"]
    found = dict(baseline_rankings(trained.mixture, parts, "test", classes, templates, wanted, runner))
    assert list(found) == [ResultRow("joint_linear_probe"), ResultRow("joint_balanced_probe")]
    sides = []
    for expert in trained.mixture.experts.values():
        features = {name: frozen_features(expert, cache, runner, "")[0].numpy() for name, cache in parts.items()}
        sides.append({name: x / np.linalg.norm(x, axis=1, keepdims=True) for name, x in features.items()})
    together = {name: np.hstack([side[name] for side in sides]) for name in parts}
    strength = float(caplog.messages[-1].split("C = ")[1].split(" (linear probe)")[0])
    expected = LogisticRegression(C=strength, max_iter=300).fit(together["train"], labels["train"])
    probabilities = -np.sort(-expected.predict_proba(together["test"]), axis=1)
    np.testing.assert_allclose(found[ResultRow("joint_linear_probe")].probabilities, probabilities[:, :5], rtol=0.01)


@pytest.mark.parametrize(
    ("experts", "trained_backbones", "wanted", "found", "messages"),
    [
        (
            ["visual"], [], ["joint_linear_probe"], [],
            ["Baselines without a row: joint_linear_probe, for lack of a second expert with a frozen backbone."],
        ),
        (
            ["visual"], [], ["zero_shot"], [],
            ["Baselines without a row: zero_shot, for lack of a frozen backbone with a text tower."],
        ),
        (
            ["visual"], ["visual"], ["zero_shot", "joint_linear_probe"], [],
            ["Baselines without a row: zero_shot, joint_linear_probe, for lack of a frozen backbone."],
        ),
        (
            ["visual", "language"], ["visual"], ["zero_shot"], ["zero_shot"],
            ["Experts without baselines: visual, for lack of a frozen backbone."],
        ),
        (["visual", "language"], [], ["zero_shot"], ["zero_shot"], []),
        (["visual"], ["visual"], [], [], []),
    ],
)  # fmt: skip
def test_the_log_says_why_a_baseline_has_no_row(
    experts, trained_backbones, wanted, found, messages, trained, pictures, caplog, monkeypatch
):
    caplog.set_level("INFO", "lptpp")
    parts = {"test": ImageCache(Split(sorted(pictures.glob("test/*/*.png")), np.arange(12) // 3), 0)}
    some = Mixture({name: trained.mixture.experts[name] for name in experts})
    for name in trained_backbones:
        monkeypatch.setattr(some.experts[name], "tune_backbone", True)
    templates = dict.fromkeys(experts, TEMPLATES)
    rows = baseline_rankings(some, parts, "test", NAMES[:4], templates, wanted, Runner(torch.device("cpu")))
    assert [row.kind for row, _ in rows] == found
    assert caplog.messages == messages


def test_features_of_training_images_are_not_computed_for_probes_that_are_too_large(
    trained, pictures, caplog, monkeypatch
):
    caplog.set_level("INFO", "lptpp")
    monkeypatch.setattr(probes, "LARGEST", 10)
    split = Split(sorted(pictures.glob("test/*/*.png")), np.arange(12) // 3)
    unreadable = Split([Path("no/such.png")] * 4, np.arange(4))
    parts = {"train": ImageCache(unreadable, 0), "test": ImageCache(split, 0)}
    templates = {"visual": TEMPLATES, "language": TEMPLATES}
    wanted = ["zero_shot", "linear_probe", "joint_linear_probe"]
    found = baseline_rankings(trained.mixture, parts, "test", NAMES[:4], templates, wanted, Runner(torch.device("cpu")))
    assert [row for row, _ in found] == [ResultRow("zero_shot", "language")]
    assert len(caplog.messages) == 2 and all("would take too long" in one for one in caplog.messages)
