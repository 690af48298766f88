"""The scorer and the weighted average against loops, over experts that differ in size, width and scale."""

import math

import pytest
import torch
from timm.models.vision_transformer import VisionTransformer

from lptpp.backbones.base import Backbone
from lptpp.backbones.preprocessing import Preprocessing
from lptpp.models.encoder import AdaptedEncoder
from lptpp.models.expert import Expert
from lptpp.models.mixture import Mixture
from lptpp.models.scorer import Scorer

CLASSES, IMAGES = 5, 4
EXPERTS = {  # name: (blocks, width, image size, scale, sizes)
    "small": (2, 12, 16, 20.0, {"shared_prompts": 2}),
    "middle": (2, 24, 24, 30.0, {"shared_prompts": 2, "group_prompts": 2, "num_groups": 4, "group_blocks": 1}),
    "wide": (1, 36, 32, 5.0, {"adapter_width": 3}),
}


def make_expert(name: str) -> Expert:
    depth, width, size, scale, sizes = EXPERTS[name]
    tower = VisionTransformer(img_size=size, patch_size=8, embed_dim=width, depth=depth, num_heads=3, num_classes=0)
    for block in tower.blocks:
        block.attn.qkv.weight.data *= 10  # images must differ in their features
        block.attn.proj.weight.data *= 10
    preprocessing = Preprocessing((size, size), (0.5, 0.5, 0.5), (0.5, 0.5, 0.5), "bicubic")
    backbone = Backbone(name, tower, preprocessing)
    return Expert(backbone, AdaptedEncoder(tower, **sizes), CLASSES, scale)


def make_mixture(*names: str, trained: bool = False) -> Mixture:
    torch.manual_seed(0)
    mixture = Mixture({name: make_expert(name) for name in names}, scorer_width=8)
    if trained:
        for parameter in mixture.scorer.parameters():
            parameter.data = 0.4 * torch.randn(parameter.shape)
        mixture.scorer.hidden.weight.data *= 6  # images must differ in their weights
    return mixture.eval()


def make_images(mixture: Mixture) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return {
        name: 3 * torch.randn(IMAGES, 3, *expert.backbone.preprocessing.size, generator=generator)
        for name, expert in mixture.experts.items()
    }


def literal_confidences(expert: Expert, images: torch.Tensor) -> list[list[float]]:
    rows = []
    for cosines in expert(images).cosines.tolist():
        powers = [math.exp(expert.scale * cosine) for cosine in cosines]
        rows.append([power / sum(powers) for power in powers])
    return rows


def literal_weights(scorer: Scorer, features: list[torch.Tensor]) -> list[float]:
    """Return the weights of one image from its experts' features."""
    unit = torch.cat([feature / feature.pow(2).sum().sqrt() for feature in features])
    hidden = [
        max(0.0, float(row @ unit + bias)) for row, bias in zip(scorer.hidden.weight, scorer.hidden.bias, strict=True)
    ]
    scores = [
        float(row @ torch.tensor(hidden) + bias) for row, bias in zip(scorer.last.weight, scorer.last.bias, strict=True)
    ]
    powers = [math.exp(score) for score in scores]
    return [power / sum(powers) for power in powers]


@pytest.mark.parametrize("names", [("small", "wide"), tuple(EXPERTS)], ids=["two", "three"])
@torch.no_grad()
def test_an_untrained_mixture_is_the_plain_average(names: tuple[str, ...]) -> None:
    mixture = make_mixture(*names)
    images = make_images(mixture)
    mixed = mixture(images)
    torch.testing.assert_close(mixed.weights, torch.full((IMAGES, len(names)), 1 / len(names)))
    confidences = [literal_confidences(mixture.experts[name], images[name]) for name in names]
    for b in range(IMAGES):
        for c in range(CLASSES):
            mean = sum(one[b][c] for one in confidences) / len(names)
            assert float(mixed.probabilities[b, c]) == pytest.approx(mean, abs=1e-6)


@pytest.mark.parametrize("names", [("small", "wide"), tuple(EXPERTS)], ids=["two", "three"])
@torch.no_grad()
def test_a_trained_mixture_equals_loops(names: tuple[str, ...]) -> None:
    mixture = make_mixture(*names, trained=True)
    images = make_images(mixture)
    mixed = mixture(images)
    features = [mixture.experts[name](images[name]).feature for name in names]
    confidences = [literal_confidences(mixture.experts[name], images[name]) for name in names]
    for b in range(IMAGES):
        weights = literal_weights(mixture.scorer, [feature[b] for feature in features])
        assert mixed.weights[b].tolist() == pytest.approx(weights, abs=1e-5)
        for c in range(CLASSES):
            expected = sum(weight * one[b][c] for weight, one in zip(weights, confidences, strict=True))
            assert float(mixed.probabilities[b, c]) == pytest.approx(expected, abs=1e-5)
    assert mixed.weights.std(dim=0).max() > 1e-2  # image by image
    torch.testing.assert_close(mixed.probabilities.sum(1), torch.ones(IMAGES))
    torch.testing.assert_close(mixed.weights.sum(1), torch.ones(IMAGES))


@torch.no_grad()
def test_one_expert_needs_no_scorer() -> None:
    mixture = make_mixture("middle")
    images = make_images(mixture)
    mixed = mixture(images)
    assert mixture.scorer is None
    assert mixed.weights.tolist() == [[1.0]] * IMAGES
    for found, expected in zip(
        mixed.probabilities.tolist(), literal_confidences(mixture.experts["middle"], images["middle"]), strict=True
    ):
        assert found == pytest.approx(expected, abs=1e-6)


def test_experts_judge_their_own_views_in_order() -> None:
    mixture = make_mixture("wide", "small")
    images = make_images(mixture)
    with torch.no_grad():
        outputs = mixture.forward_experts(
            dict(reversed(images.items()))
        )  # the order in which views are given does not matter
        assert list(outputs) == ["wide", "small"]
        confidences = mixture.confidences(outputs)
        for position, name in enumerate(outputs):
            expected = torch.tensor(literal_confidences(mixture.experts[name], images[name]))
            torch.testing.assert_close(confidences[:, position], expected, atol=1e-6, rtol=1e-5)


def test_the_tuned_state_holds_no_tower() -> None:
    mixture = make_mixture(*EXPERTS)
    state = mixture.tuned_state()
    assert not any("tower" in name for name in state)
    whole = {name for name in mixture.state_dict() if ".encoder.tower." not in name}
    assert set(state) == whole
    assert {name.split(".")[0] for name in state} == {"experts", "scorer", "controls"}
    assert set(make_mixture("small").tuned_state()) == {
        "experts.small.encoder.shared.tokens",
        "experts.small.heads.0.weight",
    }


@torch.no_grad()
def test_the_tuned_state_restores_a_mixture() -> None:
    first = make_mixture(*EXPERTS, trained=True)
    second = make_mixture(*EXPERTS)
    images = make_images(first)
    for name, tensor in first.tuned_state().items():
        tensor += 0.1 * torch.randn(tensor.shape)
        assert not torch.equal(second.state_dict()[name], tensor)
    second.load_state_dict(second.state_dict() | first.tuned_state())
    assert torch.equal(first(images).probabilities, second(images).probabilities)


def test_tuned_parts_count_every_parameter_of_the_tuned_state() -> None:
    mixture = make_mixture(*EXPERTS)
    parts = mixture.tuned_parts()
    assert parts["small"] == {"shared prompts": 2 * 2 * 12, "classifier": CLASSES * 12}
    assert parts["middle"]["group prompts"] == 4 * 24 + 4 * 1 * 2 * 24
    assert parts["wide"]["adapters"] == 2 * 36 * 3 + 36 + 3
    widths = 12 + 24 + 36
    assert parts["scorer"] == {"scorer": widths * 8 + 8 + 8 * 3 + 3}
    assert "scorer" not in make_mixture("small").tuned_parts()
    counted = sum(sum(part.values()) for part in parts.values())
    phase1_head = CLASSES * 24  # the expert with group prompts keeps the phase-1 classifier beside its own
    buffers = ("controls.", "scorer.mean", "scorer.deviation")  # fitted, not trained
    state = {name: tensor for name, tensor in mixture.tuned_state().items() if not name.startswith(buffers)}
    assert counted + phase1_head == sum(tensor.numel() for tensor in state.values())


def test_backbone_parameters_are_those_of_the_towers() -> None:
    mixture = make_mixture(*EXPERTS)
    towers = [tensor.numel() for name, tensor in mixture.state_dict().items() if ".encoder.tower." in name]
    assert mixture.backbone_parameters() == sum(towers)
