"""The matrix of towers: what holds for every kind of timm model that takes prompts (`tests.families`)."""

import copy
from pathlib import Path

import onnxruntime
import pytest
import torch
from torch import nn

from lptpp.backbones.base import Backbone
from lptpp.backbones.preprocessing import Preprocessing
from lptpp.backbones.supported import BLOCKS
from lptpp.models.encoder import AdaptedEncoder
from tests.families import FAMILIES, tiny
from tests.models.literal import GROUPS, literal_encoding, randomise

SIZES = {"shared_prompts": 3, "group_prompts": 2, "adapter_width": 4, "adapter_scale": 0.6} | GROUPS
NOISE = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(3))
IMAGES = NOISE * torch.tensor([0.5, 2])[:, None, None, None]
PREPROCESSING = Preprocessing((32, 32), (0.5, 0.5, 0.5), (0.5, 0.5, 0.5), "bicubic")
each_family = pytest.mark.parametrize("kind", FAMILIES)


def adapted(kind: str, **sizes: int) -> AdaptedEncoder:
    encoder = AdaptedEncoder(tiny(kind), **(sizes or SIZES))
    randomise([parameter for parameter in encoder.parameters() if parameter.requires_grad], seed=2)
    return encoder


def test_the_matrix_has_every_kind_of_block() -> None:
    towers = [tiny(kind) for kind in FAMILIES]
    assert {(type(block), type(block.attn)) for tower in towers for block in tower.blocks} == BLOCKS


@each_family
@torch.no_grad()
def test_without_prompts_it_is_timms_own_forward(kind: str) -> None:
    tower = tiny(kind)
    expected = tower(IMAGES)
    assert expected.std() > 1e-2
    torch.testing.assert_close(AdaptedEncoder(tower).query_feature(IMAGES), expected, atol=1e-5, rtol=1e-5)


@each_family
@torch.no_grad()
def test_equals_concatenate_and_discard(kind: str) -> None:
    encoder = adapted(kind)
    plain = tiny(kind)(IMAGES)
    for dtype, tolerance in ((torch.float32, 1e-5), (torch.float64, 1e-10)):
        encoder.to(dtype)
        found, expected = encoder(IMAGES.to(dtype)), literal_encoding(encoder, IMAGES.to(dtype))
        for one, other in zip(found, expected, strict=True):
            torch.testing.assert_close(one, other, atol=tolerance, rtol=tolerance if dtype == torch.float32 else 0)
    assert (found.query_feature - plain).abs().max() > 1e-3  # the parts matter
    assert (found.feature - found.query_feature).abs().max() > 1e-3


@each_family
def test_gradients_reach_the_parts_and_nothing_else(kind: str) -> None:
    encoder = adapted(kind).double()
    encoding = encoder(IMAGES.double())
    (encoding.query_feature.sin().sum() + encoding.feature.cos().sum() - encoding.match.mean()).backward()
    for name, parameter in encoder.named_parameters():
        if name.startswith("tower."):
            assert parameter.grad is None, name
        else:
            assert parameter.grad.abs().max() > 1e-9, name


@each_family
@torch.no_grad()
def test_the_weights_are_all_that_a_file_needs(kind: str) -> None:
    first, other = adapted(kind), adapted(kind)
    randomise(list(other.parameters()), seed=9)
    assert not torch.allclose(other(IMAGES).feature, first(IMAGES).feature, atol=1e-3)
    other.load_state_dict(first.state_dict(), strict=True)
    assert torch.equal(other(IMAGES).feature, first(IMAGES).feature)


@each_family
@torch.no_grad()
def test_another_image_size(kind: str) -> None:
    native, images = tiny(kind), torch.randn(2, 3, 48, 48)
    backbone = Backbone("tiny", copy.deepcopy(native), PREPROCESSING)
    fingerprint = backbone.fingerprint
    expected = tiny(kind)
    if hasattr(expected, "set_input_size"):
        expected.set_input_size(img_size=(48, 48))
    found = AdaptedEncoder(backbone.resized(48).tower).query_feature(images)
    torch.testing.assert_close(found, expected(images), atol=1e-5, rtol=1e-5)
    assert backbone.preprocessing.size == (48, 48)
    assert backbone.fingerprint == fingerprint
    assert not any(parameter.requires_grad for parameter in backbone.tower.parameters())


@each_family
@torch.no_grad()
def test_half_precision_differs_by_rounding_alone(kind: str) -> None:
    encoder = adapted(kind, shared_prompts=3, adapter_width=4)
    expected = encoder(IMAGES).feature
    with torch.autocast("cpu", torch.bfloat16):
        found = encoder(IMAGES).feature.float()
    assert 0 < (found - expected).norm() / expected.norm() < 0.05


@each_family
@torch.no_grad()
def test_the_last_block_computes_only_what_is_read(kind: str) -> None:
    encoder = adapted(kind, shared_prompts=3)
    tokens: list[int] = []
    encoder.tower.blocks[-1].mlp.register_forward_hook(lambda module, inputs, output: tokens.append(inputs[0].shape[1]))
    encoder(IMAGES)
    tower = encoder.tower
    by_token = tower.global_pool == "token"
    read = tower.num_prefix_tokens if kind == "DeiT, distilled" else 1
    assert tokens == [read if by_token else 16 + tower.num_prefix_tokens]


class Together(nn.Module):
    """Adapted encoders of several kinds as one module, traced at once."""

    def __init__(self, kinds: list[str]) -> None:
        super().__init__()
        self.encoders = nn.ModuleList(
            AdaptedEncoder(tiny(kind, depth=1), shared_prompts=3, adapter_width=4) for kind in kinds
        )

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return tuple(encoder.query_feature(images) for encoder in self.encoders)


EXPORTED = ["DINOv3", "ViT, mixed RoPE", "BEiT"]


@pytest.mark.skipif(torch.__version__.startswith("2.6."), reason="PyTorch 2.6 converts plain ViTs to ONNX only")
@torch.no_grad()
def test_exported_programs_take_any_number_of_images(tmp_path: Path) -> None:
    model, images = Together(EXPORTED).eval(), torch.randn(5, 3, 32, 32)
    batch = torch.export.Dim("batch", min=1, max=64)
    program = torch.export.export(model, (IMAGES,), dynamic_shapes={"images": {0: batch}})
    torch.onnx.export(program, f=tmp_path / "all.onnx", dynamo=True, optimize=False, verbose=False)
    session = onnxruntime.InferenceSession(tmp_path / "all.onnx")
    converted = session.run(None, {session.get_inputs()[0].name: images.numpy()})
    for expected, traced, run in zip(model(images), program.module()(images), converted, strict=True):
        torch.testing.assert_close(traced, expected, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(torch.from_numpy(run), expected, atol=1e-4, rtol=1e-4)
