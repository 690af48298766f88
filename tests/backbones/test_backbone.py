"""Fingerprint, image size, and which towers are refused."""

import pytest
import timm
import torch
from timm.models.vision_transformer import ParallelScalingBlock, ResPostBlock, VisionTransformer
from torch import nn

from lptpp.backbones.base import Backbone, fingerprint
from lptpp.backbones.card_files import BUNDLED
from lptpp.backbones.load import load_backbone
from lptpp.backbones.preprocessing import Preprocessing
from lptpp.backbones.supported import check_supported
from lptpp.models.encoder import AdaptedEncoder
from lptpp.utils.errors import UserError

PREPROCESSING = Preprocessing((32, 32), (0.5, 0.5, 0.5), (0.5, 0.5, 0.5), "bicubic", crop_share=0.9)


def tiny_tower(**options: object) -> VisionTransformer:
    torch.manual_seed(0)
    return VisionTransformer(
        **({"img_size": 32, "patch_size": 8, "embed_dim": 24, "depth": 2, "num_heads": 3} | options)
    )


def tiny_backbone(**options: object) -> Backbone:
    return Backbone("tiny", tiny_tower(num_classes=0, **options), PREPROCESSING)


def test_the_fingerprint_changes_with_any_one_weight() -> None:
    tower = tiny_tower()
    seen = {fingerprint(tower)}
    for parameter in tower.parameters():
        parameter.data.view(-1)[-1] += 1e-3
        seen.add(fingerprint(tower))
    assert len(seen) == 1 + len(list(tower.parameters()))


def test_equal_weights_have_equal_fingerprints_and_other_names_other_ones() -> None:
    assert fingerprint(tiny_tower()) == fingerprint(tiny_tower())
    first, second = nn.Linear(3, 3), nn.Linear(3, 3)
    second.load_state_dict(first.state_dict())
    assert fingerprint(nn.ModuleDict({"a": first})) == fingerprint(nn.ModuleDict({"a": second}))
    assert fingerprint(nn.ModuleDict({"a": first})) != fingerprint(nn.ModuleDict({"b": second}))


def test_a_backbone_is_frozen_and_in_single_precision() -> None:
    backbone = Backbone("tiny", tiny_tower().bfloat16().train(), PREPROCESSING)
    assert {parameter.dtype for parameter in backbone.tower.parameters()} == {torch.float32}
    assert not any(parameter.requires_grad for parameter in backbone.tower.parameters())
    assert not backbone.tower.training


@pytest.mark.parametrize("options, width", [({"num_classes": 0}, 24), ({"num_classes": 7}, 7)])
def test_the_feature_width_is_that_of_the_features(options: dict, width: int) -> None:
    backbone = Backbone("tiny", tiny_tower(**options), PREPROCESSING)
    assert backbone.feature_width == width
    assert backbone.tower(torch.randn(1, 3, 32, 32)).shape == (1, width)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"class_token": False, "global_pool": "avg"},
        {"reg_tokens": 2, "no_embed_class": True},
        {"dynamic_img_size": True},
    ],
    ids=["plain", "no class token", "registers", "dynamic size"],
)
@pytest.mark.parametrize("size", [16, 32, 56])
def test_another_image_size_takes_more_tokens_of_the_same_weights(options: dict, size: int) -> None:
    native = tiny_backbone(**options)
    other = tiny_backbone(**options).resized(size)
    seen: list[torch.Tensor] = []
    other.tower.blocks[0].register_forward_hook(lambda module, inputs, output: seen.append(output))
    with torch.no_grad():
        other.tower(torch.randn(2, 3, size, size))
        features = AdaptedEncoder(other.tower, shared_prompts=2)(torch.randn(2, 3, size, size)).feature
    assert seen[0].shape[1] == (size // 8) ** 2 + other.tower.num_prefix_tokens
    assert features.isfinite().all()
    assert other.preprocessing == PREPROCESSING.at((size, size))
    assert other.preprocessing.crop_share == 0.9
    assert other.fingerprint == native.fingerprint
    assert not any(parameter.requires_grad for parameter in other.tower.parameters())


@pytest.mark.parametrize("size", [None, 32])
def test_the_native_size_changes_nothing(size: int | None) -> None:
    backbone = tiny_backbone().resized(size)
    assert fingerprint(backbone.tower) == backbone.fingerprint


@pytest.mark.parametrize("size", [30, 4, 0, -8])
def test_refuses_a_size_that_is_not_a_multiple_of_the_patch(size: int) -> None:
    with pytest.raises(UserError, match=f"image_size={size} of tiny: .*multiple of .* 8"):
        tiny_backbone().resized(size)


@pytest.mark.parametrize("kind, name", BUNDLED.items())
def test_bundled_towers_at_96_pixels(kind: str, name: str) -> None:
    native, large = load_backbone(kind, name), load_backbone(kind, name, image_size=96)
    assert large.fingerprint == native.fingerprint
    assert large.preprocessing == native.preprocessing.at((96, 96))
    assert large.tower.pos_embed.shape[1] == 3 * 3
    with torch.no_grad():
        assert large.tower(torch.randn(1, 3, 96, 96)).isfinite().all()
    with pytest.raises(UserError, match=r"image_size=98 .* 32"):
        load_backbone(kind, name, image_size=98)


class Gated(VisionTransformer):
    """A subclass, which may override anything."""


@pytest.mark.parametrize(
    "tower",
    [
        lambda: timm.create_model("resnet18"),
        lambda: timm.create_model("swin_tiny_patch4_window7_224"),
        lambda: timm.create_model("eva02_enormous_patch14_clip_224", depth=1, embed_dim=32, num_heads=2),
        lambda: timm.create_model("vit_relpos_medium_patch16_rpn_224", depth=1),
        lambda: Gated(**{"img_size": 32, "embed_dim": 24, "depth": 1, "num_heads": 3}),
        lambda: tiny_tower(block_fn=ParallelScalingBlock),
        lambda: tiny_tower(block_fn=ResPostBlock),
        lambda: tiny_tower(attn_layer="diff"),
    ],
    ids=[
        "resnet",
        "swin",
        "post-norm EVA",
        "post-norm RelPos",
        "subclass",
        "parallel blocks",
        "post-norm blocks",
        "differential attention",
    ],
)
def test_refuses_unsupported_towers(tower: object) -> None:
    with torch.device("meta"):
        made = tower()
    with pytest.raises(UserError, match=r"^Backbone odd (is|has)"):
        check_supported(made, "odd")
