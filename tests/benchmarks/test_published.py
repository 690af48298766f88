"""The published form and ours are equal: outputs, losses, and gradients of the trainable parameters."""

from collections.abc import Callable

import pytest
import torch
from timm.models.vision_transformer import VisionTransformer

from benchmarks.speed import published
from benchmarks.speed.published import Published
from lptpp.backbones.base import Backbone
from lptpp.backbones.card_files import BUNDLED
from lptpp.backbones.load import load_backbone
from lptpp.backbones.preprocessing import Preprocessing
from lptpp.config import Settings
from lptpp.models.encoder import AdaptedEncoder
from lptpp.models.expert import Expert, ExpertOutput
from lptpp.training.dual_sampling import ExpertTask, streams
from lptpp.training.loop import Batch, add_gradients, train_only

COUNTS = torch.tensor([50, 12, 5, 2, 1])
PARTS = {"shared_prompts": 3, "adapter_width": 4, "group_prompts": 2, "num_groups": 5, "top_k": 2}
TOWERS = ["bundled", "tiny"]
Predictor = Callable[[torch.Tensor], ExpertOutput]


def backbone(name: str) -> Backbone:
    if name == "bundled":
        return load_backbone("vision", BUNDLED["vision"], image_size=64)
    torch.manual_seed(1)
    tower = VisionTransformer(img_size=16, patch_size=8, embed_dim=24, depth=3, num_heads=2, num_classes=0)
    for parameter in tower.parameters():
        parameter.data += 0.3 * torch.randn(parameter.shape)
    return Backbone("tiny", tower, Preprocessing((16, 16), (0.5,) * 3, (0.5,) * 3, "bilinear"))


def expert(name: str) -> Expert:
    frozen = backbone(name)
    made = Expert(frozen, AdaptedEncoder(frozen.tower, group_blocks=2, **PARTS), len(COUNTS))
    torch.manual_seed(2)
    for key, parameter in made.named_parameters():
        if not key.startswith("encoder.tower."):
            parameter.data = 0.3 * torch.randn(parameter.shape)  # no part is zero
    return made.double()


def batch(made: Expert) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(3)
    sizes = torch.linspace(0.3, 2, 6)[:, None, None, None]  # images that use different groups
    images = sizes * torch.randn(6, 3, *made.backbone.preprocessing.size)
    return images.double(), torch.tensor([0, 1, 2, 3, 4, 0])


@pytest.mark.parametrize("name", TOWERS)
@torch.no_grad()
def test_the_outputs_are_ours(name: str) -> None:
    made = expert(name)
    images, _ = batch(made)
    literal = Published(made)
    assert len({tuple(row) for row in made(images).groups.sort().values.tolist()}) > 1
    for found, ours in ((literal.phase1, made.phase1), (literal.phase2, made)):
        compare(found(images), ours(images))


def compare(found: ExpertOutput, expected: ExpertOutput) -> None:
    for one, other in zip(found[:4], expected[:4], strict=True):
        torch.testing.assert_close(one, other, atol=1e-9, rtol=0)
    assert found.groups is expected.groups is None or torch.equal(found.groups, expected.groups)


def loss_and_gradients(made: Expert, phase: int, predictor: Predictor, add_gradients: Callable) -> list[torch.Tensor]:
    settings = {1: Settings().phase1, 2: Settings().phase2}[phase]
    task = ExpertTask(made, predictor, COUNTS, settings)
    parameters = list(made.phase_parameters(phase))
    train_only(task, parameters)
    torch.manual_seed(4)  # the noise of the loss
    loss = add_gradients(task, torch.Tensor.backward, Batch(*batch(made), lambda: [], len(streams(settings))), 0)
    gradients = [parameter.grad for parameter in parameters]
    made.zero_grad(set_to_none=True)
    return [loss, *gradients]


@pytest.mark.parametrize("phase", [1, 2])
@pytest.mark.parametrize("name", TOWERS)
def test_losses_and_gradients_are_ours(name: str, phase: int) -> None:
    made = expert(name)
    literal = Published(made)
    predictors = {1: (literal.phase1, made.phase1), 2: (literal.phase2, made.forward)}[phase]
    steps = (published.add_gradients, add_gradients)
    found, expected = (loss_and_gradients(made, phase, *form) for form in zip(predictors, steps, strict=True))
    for one, other in zip(found, expected, strict=True):
        assert other.abs().max() > 1e-6
        torch.testing.assert_close(one, other, atol=1e-9, rtol=1e-6)  # losses are computed in float32
