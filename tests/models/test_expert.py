"""What an expert says, and what each phase may change."""

import copy
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from timm.models.vision_transformer import VisionTransformer

from lptpp.backbones.base import Backbone, fingerprint
from lptpp.backbones.load import load_backbone
from lptpp.backbones.preprocessing import Preprocessing
from lptpp.models.encoder import AdaptedEncoder
from lptpp.models.expert import Expert, ExpertOutput
from lptpp.training.loop import train_only

CLASSES, WIDTH, DEPTH = 6, 24, 3
ALL = {"shared_prompts": 2, "adapter_width": 4, "group_prompts": 2, "num_groups": 5, "top_k": 2, "group_blocks": 2}
LPT = ALL | {"adapter_width": 0}
PROBE = {}
SHARED = {"shared_prompts": 2}
ADAPTERS = {"adapter_width": 4}


def tiny_backbone() -> Backbone:
    tower = VisionTransformer(
        img_size=16, patch_size=8, embed_dim=WIDTH, depth=DEPTH, num_heads=3, num_classes=0, init_values=0.1
    )
    preprocessing = Preprocessing((16, 16), (0.5, 0.5, 0.5), (0.5, 0.5, 0.5), "bicubic")
    return Backbone("tiny", tower, preprocessing)


def make_expert(sizes: dict[str, int], tune_backbone: bool = False, scale: float = 20.0) -> Expert:
    torch.manual_seed(0)
    backbone = tiny_backbone()
    expert = Expert(backbone, AdaptedEncoder(backbone.tower, **sizes), CLASSES, scale, tune_backbone)
    for parameter in expert.parameters():
        parameter.data += 0.1 * torch.randn(parameter.shape)  # an adapter at its start gives `down` no gradient
    backbone.fingerprint = fingerprint(backbone.tower)
    return expert


def make_images(count: int = 12) -> torch.Tensor:
    return torch.randn(count, 3, 16, 16, generator=torch.Generator().manual_seed(1))


def phase_loss(expert: Expert, phase: int) -> torch.Tensor:
    outputs = expert.phase1(make_images()) if phase == 1 else expert(make_images())
    labels = torch.arange(len(outputs.cosines)) % CLASSES
    return F.cross_entropy(expert.scale * outputs.cosines, labels) - 0.5 * outputs.match.mean()


def train_phase(expert: Expert, phase: int, steps: int = 3) -> None:
    own = list(expert.phase_parameters(phase))
    train_only(expert, own)
    optimizer = torch.optim.SGD(own, lr=0.1, momentum=0.9, weight_decay=0.01)
    for _ in range(steps):
        optimizer.zero_grad()
        phase_loss(expert, phase).backward()
        optimizer.step()


def names_of(expert: Expert, phase: int) -> set[str]:
    own = {id(parameter) for parameter in expert.phase_parameters(phase)}
    return {name for name, parameter in expert.named_parameters() if id(parameter) in own}


def bytes_of(expert: Expert, names: set[str]) -> dict[str, bytes]:
    return {name: expert.get_parameter(name).detach().numpy().tobytes() for name in names}


def literal_cosines(features: torch.Tensor, vectors: torch.Tensor) -> torch.Tensor:
    return torch.stack([torch.stack([F.cosine_similarity(f, v, dim=0) for v in vectors]) for f in features])


def test_forward_says_what_the_encoder_and_the_classifiers_say() -> None:
    expert, images = make_expert(ALL), make_images()
    with torch.no_grad():
        encoding, outputs, phase1 = expert.encoder(images), expert(images), expert.phase1(images)
        torch.testing.assert_close(outputs.cosines, literal_cosines(encoding.feature, expert.heads[-1].weight))
        query_cosines = literal_cosines(encoding.query_feature, expert.heads[0].weight)
    torch.testing.assert_close(outputs.phase1_cosines, query_cosines)
    torch.testing.assert_close(phase1.cosines, query_cosines)
    assert torch.equal(outputs.feature, encoding.feature)
    assert torch.equal(outputs.match, encoding.match)
    assert torch.equal(phase1.feature, encoding.query_feature)
    assert phase1.match.tolist() == [0] * len(images)
    assert len(expert.heads) == 2
    assert not torch.allclose(outputs.cosines, outputs.phase1_cosines)


@pytest.mark.parametrize("sizes", [PROBE, SHARED, ADAPTERS], ids=["probe", "shared", "adapters"])
def test_without_group_prompts_there_is_one_classifier_and_one_answer(sizes: dict[str, int]) -> None:
    expert, images = make_expert(sizes), make_images()
    assert len(expert.heads) == 1
    with torch.no_grad():
        outputs, phase1 = expert(images), expert.phase1(images)
    for one, other in zip(outputs, phase1, strict=True):
        torch.testing.assert_close(one, other)
    assert torch.equal(outputs.cosines, outputs.phase1_cosines)


PHASES = {
    "shared prompts, adapters": (ALL, 1, {"encoder.shared.", "encoder.adapters.", "heads.0."}),
    "group prompts": (ALL, 2, {"encoder.groups.", "heads.1."}),
    "LPT, phase 1": (LPT, 1, {"encoder.shared.", "heads.0."}),
    "LPT, phase 2": (LPT, 2, {"encoder.groups.", "heads.1."}),
    "probe": (PROBE, 1, {"heads.0."}),
    "adapters": (ADAPTERS, 1, {"encoder.adapters.", "heads.0."}),
}


@pytest.mark.parametrize("case", PHASES)
def test_each_phase_gives_gradients_to_its_own_parameters_and_all_of_them(case: str) -> None:
    sizes, phase, prefixes = PHASES[case]
    expert = make_expert(sizes)
    train_only(expert, list(expert.phase_parameters(phase)))
    phase_loss(expert, phase).backward()
    found = {name for name, parameter in expert.named_parameters() if parameter.grad is not None}
    assert found == {name for name, _ in expert.named_parameters() if name.startswith(tuple(prefixes))}
    assert found == names_of(expert, phase)
    for name in found:
        assert expert.get_parameter(name).grad.abs().sum() > 0, name


@pytest.mark.parametrize("case", PHASES)
def test_each_phase_changes_its_own_parameters_and_no_other_byte(case: str) -> None:
    sizes, phase, _ = PHASES[case]
    expert = make_expert(sizes)
    own = names_of(expert, phase)
    others = {name for name, _ in expert.named_parameters()} - own
    before, own_before = bytes_of(expert, others), bytes_of(expert, own)
    train_phase(expert, phase)
    assert bytes_of(expert, others) == before
    after = bytes_of(expert, own)
    assert [name for name in own if after[name] == own_before[name]] == []
    assert fingerprint(expert.encoder.tower) == expert.backbone.fingerprint


def test_phase_2_leaves_what_phase_1_says_alone() -> None:
    expert, images = make_expert(ALL), make_images()
    train_phase(expert, 1)
    with torch.no_grad():
        before, finished = expert.phase1(images), expert(images)
    train_phase(expert, 2)
    with torch.no_grad():
        after, trained = expert.phase1(images), expert(images)
    assert torch.equal(before.cosines, after.cosines)
    torch.testing.assert_close(trained.phase1_cosines, finished.phase1_cosines)
    assert not torch.allclose(trained.cosines, finished.cosines, atol=1e-3)


def test_nothing_before_the_first_group_block_keeps_what_a_gradient_needs() -> None:
    expert = make_expert(ALL)
    train_only(expert, list(expert.phase_parameters(2)))
    seen: list[bool] = []
    for block in expert.encoder.tower.blocks:
        block.mlp.register_forward_hook(lambda module, inputs, output: seen.append(output.requires_grad))
    expert(make_images())
    assert seen == [False, False, False, True, True]  # three blocks of the query, two again with group prompts


@pytest.mark.parametrize("sizes", [PROBE, SHARED], ids=["probe", "shared"])
def test_tuning_the_backbone_trains_all_of_it(sizes: dict[str, int]) -> None:
    expert = make_expert(sizes, tune_backbone=True)
    train_only(expert, list(expert.phase_parameters(1)))
    phase_loss(expert, 1).backward()
    for name, parameter in expert.named_parameters():
        assert parameter.grad.abs().sum() > 0, name
    before = copy.deepcopy(expert.encoder.tower.state_dict())
    train_phase(expert, 1)
    after = expert.encoder.tower.state_dict()
    assert [name for name in before if torch.equal(before[name], after[name])] == []
    assert fingerprint(expert.encoder.tower) != expert.backbone.fingerprint


def test_a_language_experts_projection_stays_frozen_too(cards: Path) -> None:
    card = ("language", "clip_random", str(cards / "clip_random.safetensors"))
    backbone = load_backbone(*card)
    expert = Expert(backbone, AdaptedEncoder(backbone.tower, shared_prompts=2), 3, backbone.text.logit_scale)
    expert.heads[0].start_from(backbone.text.class_vectors(["cat", "dog", "car"], ["a {}"]))
    own = list(expert.phase_parameters(1))
    train_only(expert, own)
    outputs: ExpertOutput = expert.phase1(torch.randn(2, 3, 64, 64))
    F.cross_entropy(expert.scale * outputs.cosines, torch.tensor([0, 1])).backward()
    torch.optim.SGD(own, lr=0.1).step()
    assert {name for name, p in expert.named_parameters() if p.grad is not None} == {
        "encoder.shared.tokens",
        "heads.0.weight",
    }
    assert fingerprint(expert.encoder.tower) == load_backbone(*card).fingerprint


def test_the_tuned_state_is_what_training_may_change() -> None:
    for sizes in (PROBE, SHARED, ADAPTERS, LPT, ALL):
        expert = make_expert(sizes)
        state = expert.tuned_state()
        assert set(state) == names_of(expert, 1) | names_of(expert, 2)
        assert not any("tower" in name for name in state)
        assert all(torch.equal(tensor, expert.state_dict()[name]) for name, tensor in state.items())


def test_the_tuned_state_restores_an_expert_on_the_same_backbone() -> None:
    trained, images = make_expert(ALL), make_images()
    fresh = copy.deepcopy(trained)
    train_phase(trained, 1)
    train_phase(trained, 2)
    with torch.no_grad():
        assert not torch.allclose(fresh(images).cosines, trained(images).cosines, atol=1e-3)
        fresh.load_state_dict(fresh.state_dict() | trained.tuned_state())
        assert torch.equal(fresh(images).cosines, trained(images).cosines)


def test_a_tuned_backbone_is_part_of_the_tuned_state() -> None:
    expert = make_expert(SHARED, tune_backbone=True)
    assert set(expert.tuned_state()) == set(expert.state_dict())
    assert "encoder.tower.cls_token" in expert.tuned_state()


def test_tuned_parts_count_the_finished_expert() -> None:
    assert make_expert(ALL).tuned_parts() == {
        "shared prompts": DEPTH * 2 * WIDTH,
        "adapters": DEPTH * (WIDTH * 4 + 4 + 4 * WIDTH + WIDTH),
        "group prompts": 5 * WIDTH + 5 * 2 * 2 * WIDTH,
        "classifier": CLASSES * WIDTH,
    }
    assert make_expert(PROBE).tuned_parts() == {"classifier": CLASSES * WIDTH}
    tuned = make_expert(PROBE, tune_backbone=True).tuned_parts()
    assert tuned["backbone"] == sum(weight.numel() for weight in tiny_backbone().tower.state_dict().values())


@pytest.mark.parametrize("sizes, phase", [(LPT, 1), (LPT, 2), (PROBE, 1)], ids=["phase1", "phase2", "probe"])
def test_dropout_changes_the_cosines_of_the_trained_classifier_alone(sizes: dict[str, int], phase: int) -> None:
    expert = make_expert(sizes)
    call = expert.phase1 if phase == 1 else expert.forward
    with torch.no_grad():
        plain, dropped = call(make_images()), call(make_images(), 0.5)
    assert not torch.allclose(dropped.cosines, plain.cosines, atol=1e-3)
    assert torch.equal(dropped.feature, plain.feature)
    assert torch.equal(dropped.match, plain.match)
    assert (phase == 1) == (not torch.equal(dropped.phase1_cosines, plain.phase1_cosines))


def test_inference_has_no_dropout() -> None:
    expert = make_expert(LPT).train()
    with torch.no_grad():
        assert torch.equal(expert(make_images()).cosines, expert(make_images()).cosines)
        assert torch.equal(expert.phase1(make_images()).cosines, expert.phase1(make_images()).cosines)
