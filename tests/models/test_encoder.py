"""The adapted encoder against a literal version: every image by itself, prompts concatenated, two full passes."""

import copy
from collections.abc import Callable
from functools import cache

import pytest
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import nn

from lptpp.backbones.cards import build_parts
from lptpp.backbones.convert import image_tower
from lptpp.models.encoder import AdaptedEncoder
from lptpp.utils.errors import UserError
from tests.models.literal import GROUPS, literal_choice, literal_encoding, literal_pass, randomise
from tests.towers import LANGUAGE, VISION, build_clip

TIMM = {
    "plain": {},
    "LayerScale": {"init_values": 0.1},
    "qk-norm": {"qk_norm": True},
    "pre-norm": {"pre_norm": True},
    "no qkv bias": {"qkv_bias": False},
    "norm after attention": {"scale_attn_norm": True},
    "no class token": {"class_token": False, "global_pool": "avg"},
    "registers": {"reg_tokens": 2, "no_embed_class": True},
    "registers, mean": {"reg_tokens": 2, "no_embed_class": True, "global_pool": "avg"},
    "attentional pooling": {"global_pool": "map"},
}
CLIPS = {"CLIP": {}, "CLIP quick-gelu": {"quick_gelu": True}}
HYBRIDS = {"hybrid": VISION, "hybrid with a projection": LANGUAGE}
TOWERS = [*TIMM, *CLIPS, *HYBRIDS]
SIZES = {
    "nothing": {},
    "shared": {"shared_prompts": 3},
    "group": {"group_prompts": 2},
    "both": {"shared_prompts": 3, "group_prompts": 2},
}


def tiny_timm(**options: object) -> VisionTransformer:
    sizes = {"img_size": 32, "patch_size": 8, "embed_dim": 48, "depth": 4, "num_heads": 3, "num_classes": 0}
    return VisionTransformer(**sizes, **options)


def tiny_clip(quick_gelu: bool = False, **options: object) -> nn.Module:
    vision = {"image_size": 32, "layers": 4, "width": 48, "head_width": 16, "patch_size": 8, **options}
    text = {"context_length": 8, "vocab_size": 64, "width": 16, "heads": 2, "layers": 1}
    return build_clip({"embed_dim": 24, "vision_cfg": vision, "text_cfg": text, "quick_gelu": quick_gelu}).visual


@cache
def kept_tower(name: str) -> VisionTransformer:
    if name in HYBRIDS:
        tower = build_parts(HYBRIDS[name])["tower"]
        randomise(list(tower.blocks.parameters()), seed=1)
        return tower.eval().requires_grad_(False)
    tower = tiny_timm(**TIMM[name]) if name in TIMM else image_tower(tiny_clip(**CLIPS[name]), name)
    randomise(list(tower.parameters()), seed=1)
    return tower.eval().requires_grad_(False)


def make_encoder(name: str, given: str, adapters: bool, dtype: torch.dtype) -> AdaptedEncoder:
    tower = copy.deepcopy(kept_tower(name))
    encoder = AdaptedEncoder(tower, adapter_width=4 * adapters, adapter_scale=0.6, **SIZES[given], **GROUPS)
    own = [parameter for key, parameter in encoder.named_parameters() if not key.startswith("tower.")]
    randomise(own, seed=2)
    return encoder.to(dtype)


def make_images(dtype: torch.dtype, name: str = "plain", images: int = 3) -> torch.Tensor:
    side = 64 if name in HYBRIDS else 32
    generator = torch.Generator().manual_seed(3)
    levels = torch.linspace(0.2, 3, images)[:, None, None, None]  # images that choose different prompts
    return (torch.randn(images, 3, side, side, generator=generator) * levels).to(dtype)


@pytest.mark.parametrize("adapters", [False, True], ids=["", "adapters"])
@pytest.mark.parametrize("given", SIZES)
@pytest.mark.parametrize("name", TOWERS)
@torch.no_grad()
def test_equals_concatenate_and_discard(name: str, given: str, adapters: bool) -> None:
    for dtype, tolerance in ((torch.float64, 1e-10), (torch.float32, 1e-5)):
        encoder, images = make_encoder(name, given, adapters, dtype), make_images(dtype, name)
        found, expected = encoder(images), literal_encoding(encoder, images)
        for one, other in zip(found, expected, strict=True):
            torch.testing.assert_close(one, other, atol=tolerance, rtol=tolerance if dtype == torch.float32 else 0)
        torch.testing.assert_close(encoder.query_feature(images), expected[0], atol=tolerance, rtol=tolerance)


@pytest.mark.parametrize("chosen", [[[4, 1], [0, 3], [2, 0]], [[0, 1, 2, 3, 4]] * 3], ids=["chosen", "all"])
@pytest.mark.parametrize("name", ["plain", "no class token", "hybrid"])
@torch.no_grad()
def test_another_selection_equals_prompts_built_by_hand(name: str, chosen: list[list[int]]) -> None:
    encoder, images = make_encoder(name, "both", True, torch.float64), make_images(torch.float64, name)
    found = encoder(images, lambda similarity: torch.tensor(chosen))
    for index, entries in enumerate(chosen):
        prompts = torch.stack([encoder.groups.tokens[entry] for entry in entries]).mean(0)
        _, expected = literal_pass(encoder, images[index], prompts)
        torch.testing.assert_close(found.feature[index], expected, atol=1e-10, rtol=0)
    assert found.groups.tolist() == chosen
    assert torch.equal(found.query_feature, encoder(images).query_feature)
    assert (found.feature - encoder(images).feature).abs().max() > 1e-4


@pytest.mark.parametrize("name", TOWERS)
@torch.no_grad()
def test_every_part_counts_in_the_comparison_above(name: str) -> None:
    images = make_images(torch.float64, name)
    plain = make_encoder(name, "nothing", False, torch.float64)(images)
    adapted = make_encoder(name, "nothing", True, torch.float64)(images)
    shared = make_encoder(name, "shared", False, torch.float64)(images)
    both = make_encoder(name, "both", False, torch.float64)(images)
    for one, other in ((plain, adapted), (plain, shared), (shared, both)):
        assert (one.feature - other.feature).abs().max() > 1e-4
    torch.testing.assert_close(both.query_feature, shared.query_feature)


@torch.no_grad()
def test_images_of_the_comparison_choose_different_prompts() -> None:
    encoder, images = make_encoder("plain", "both", True, torch.float64), make_images(torch.float64)
    entries = [literal_choice(encoder, literal_pass(encoder, image, None)[0])[0] for image in images]
    assert len({tuple(sorted(one)) for one in entries}) > 1


@pytest.mark.parametrize("name", ["plain", "no class token", "CLIP"])
def test_gradients_equal_those_of_the_literal_version(name: str) -> None:
    encoder, images = make_encoder(name, "both", True, torch.float64), make_images(torch.float64)
    own = [parameter for parameter in encoder.parameters() if parameter.requires_grad]
    gradients = []
    for query_feature, feature, match, _ in (encoder(images), literal_encoding(encoder, images)):
        loss = query_feature.sin().sum() + feature.cos().sum() - 0.5 * match.mean()
        gradients.append(torch.autograd.grad(loss, own))
    for found, expected in zip(*gradients, strict=True):
        assert expected.abs().max() > 1e-6
        torch.testing.assert_close(found, expected, atol=1e-10, rtol=0)


def counted(encoder: AdaptedEncoder, run: Callable[[torch.Tensor], object]) -> tuple[list[int], list[int]]:
    """Return how often each block's MLP ran, and how many tokens it saw last."""
    calls, tokens = [0] * len(encoder.tower.blocks), [0] * len(encoder.tower.blocks)

    def count(index: int) -> Callable:
        def hook(module: nn.Module, inputs: tuple[torch.Tensor], output: torch.Tensor) -> None:
            calls[index] += 1
            tokens[index] = inputs[0].shape[1]

        return hook

    for index, block in enumerate(encoder.tower.blocks):
        block.mlp.register_forward_hook(count(index))
    with torch.no_grad():
        run(make_images(torch.float32))
    return calls, tokens


@pytest.mark.parametrize("group_blocks, expected", [(1, [1, 1, 1, 2]), (2, [1, 1, 2, 2]), (4, [2, 2, 2, 2])])
def test_blocks_before_the_group_prompts_run_once(group_blocks: int, expected: list[int]) -> None:
    encoder = AdaptedEncoder(tiny_timm(), 3, group_prompts=2, num_groups=5, top_k=2, group_blocks=group_blocks)
    assert counted(encoder, encoder)[0] == expected
    assert counted(encoder, encoder.query_feature)[0] == [1, 1, 1, 1]


def test_without_group_prompts_every_block_runs_once() -> None:
    encoder = AdaptedEncoder(tiny_timm(), shared_prompts=3, adapter_width=2)
    assert counted(encoder, encoder)[0] == [1, 1, 1, 1]


def test_the_last_block_computes_only_what_is_read() -> None:
    by_token = AdaptedEncoder(tiny_timm(), shared_prompts=3)
    by_mean = AdaptedEncoder(tiny_timm(global_pool="avg"), shared_prompts=3)
    assert counted(by_token, by_token)[1] == [17, 17, 17, 1]
    assert counted(by_mean, by_mean)[1] == [17, 17, 17, 17]


@pytest.mark.parametrize("name", TOWERS)
@torch.no_grad()
def test_new_adapters_leave_the_frozen_features_unchanged(name: str) -> None:
    tower, images = kept_tower(name), make_images(torch.float32, name)
    for adapter_width in (0, 4):
        encoding = AdaptedEncoder(tower, adapter_width=adapter_width)(images)
        torch.testing.assert_close(encoding.feature, tower(images), atol=1e-6, rtol=1e-6)
        assert torch.equal(encoding.feature, encoding.query_feature)
        assert encoding.match.tolist() == [0, 0, 0]


def own_parameters(**sizes: int) -> dict[str, tuple[int, ...]]:
    encoder = AdaptedEncoder(tiny_timm(), **sizes)
    return {
        key: tuple(parameter.shape) for key, parameter in encoder.named_parameters() if not key.startswith("tower.")
    }


def test_a_size_of_zero_removes_the_part() -> None:
    assert own_parameters() == {}
    assert own_parameters(shared_prompts=3) == {"shared.tokens": (4, 3, 48)}
    groups = {"groups.keys": (5, 48), "groups.tokens": (5, 2, 2, 48)}
    assert own_parameters(group_prompts=2, num_groups=5, group_blocks=2) == groups
    assert own_parameters(num_groups=5, group_blocks=99, top_k=99) == {}  # sizes of an absent part are not looked at
    adapters = own_parameters(adapter_width=4)
    assert len(adapters) == 4 * 4
    assert adapters["adapters.3.down.weight"] == (4, 48)


@pytest.mark.parametrize(
    "sizes, message",
    [
        ({"group_blocks": 5}, "group_blocks=5: expected 1 to 4"),
        ({"group_blocks": 0}, "group_blocks=0: expected 1 to 4"),
        ({"top_k": 0}, "top_k=0: expected 1 to 5"),
        ({"top_k": 6}, "top_k=6: expected 1 to 5"),
    ],
)
def test_refuses_sizes_that_do_not_fit(sizes: dict[str, int], message: str) -> None:
    with pytest.raises(UserError, match=message):
        AdaptedEncoder(tiny_timm(), group_prompts=2, **(GROUPS | sizes))


@torch.no_grad()
def test_groups_are_chosen_by_a_pooled_token_of_another_width() -> None:
    pooling = {"attentional_pool": True, "attn_pooler_heads": 2, "attn_pooler_queries": 3}
    tower = image_tower(tiny_clip(**pooling), "CoCa").requires_grad_(False).eval()
    encoder = AdaptedEncoder(tower, group_prompts=2, **GROUPS)
    assert encoder.groups.keys.shape == (5, 24)
    torch.testing.assert_close(encoder(make_images(torch.float32)).query_feature, tower(make_images(torch.float32)))
