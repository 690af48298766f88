"""One adapted block against timm's own block over tokens and prompts together."""

import pytest
import torch
from timm.models.vision_transformer import Block
from torch import nn

from lptpp.models.adapters import Adapter
from lptpp.models.block import adapted_block

WIDTH, TOKENS, IMAGES = 24, 7, 3
BLOCKS = {
    "plain": {"qkv_bias": True},
    "no bias": {"qkv_bias": False, "proj_bias": False},
    "LayerScale": {"qkv_bias": True, "init_values": 0.1},
    "qk-norm": {"qkv_bias": True, "qk_norm": True},
    "norm after attention": {"qkv_bias": True, "scale_attn_norm": True, "scale_mlp_norm": True},
}


def random_module(module: nn.Module, seed: int = 0) -> nn.Module:
    generator = torch.Generator().manual_seed(seed)
    for parameter in module.parameters():
        parameter.data = 0.3 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
    return module.double().eval()


def random_tokens(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def concatenate_and_discard(block: Block, x: torch.Tensor, prompts: list[torch.Tensor]) -> torch.Tensor:
    rows = []
    for i, tokens in enumerate(x):
        own = [prompt[0] if len(prompt) == 1 else prompt[i] for prompt in prompts]
        rows.append(block(torch.cat([tokens, *own])[None])[0, : len(tokens)])
    return torch.stack(rows)


PROMPTS = {
    "none": [],
    "shared": [random_tokens(1, 5, WIDTH, seed=2)],
    "one for each image": [random_tokens(IMAGES, 4, WIDTH, seed=3)],
    "both": [random_tokens(1, 5, WIDTH, seed=2), random_tokens(IMAGES, 4, WIDTH, seed=3)],
}


@pytest.mark.parametrize("given", PROMPTS)
@pytest.mark.parametrize("kind", BLOCKS)
def test_equals_the_block_over_concatenated_tokens(kind: str, given: str) -> None:
    block = random_module(Block(WIDTH, num_heads=4, **BLOCKS[kind]))
    x, prompts = random_tokens(IMAGES, TOKENS, WIDTH), PROMPTS[given]
    expected = concatenate_and_discard(block, x, prompts)
    assert prompts == [] or not torch.allclose(expected, block(x), atol=1e-3)  # the prompts matter
    torch.testing.assert_close(adapted_block(block, x, prompts), expected, atol=1e-10, rtol=0)


@pytest.mark.parametrize("kind", BLOCKS)
def test_the_adapter_reads_what_the_mlp_reads(kind: str) -> None:
    block = random_module(Block(WIDTH, num_heads=4, **BLOCKS[kind]))
    adapter = random_module(Adapter(WIDTH, 6, scale=0.7), seed=5)
    x = random_tokens(IMAGES, TOKENS, WIDTH)
    middle = x + block.ls1(block.attn(block.norm1(x)))
    hidden = block.norm2(middle)
    expected = middle + block.ls2(block.mlp(hidden)) + adapter(hidden)
    torch.testing.assert_close(adapted_block(block, x, [], adapter), expected, atol=1e-10, rtol=0)


@pytest.mark.parametrize("keep", [1, 3, TOKENS, None])
def test_keep_leaves_the_first_tokens_as_they_are(keep: int | None) -> None:
    block = random_module(Block(WIDTH, num_heads=4, qkv_bias=True, init_values=0.1))
    adapter = random_module(Adapter(WIDTH, 6), seed=5)
    x, prompts = random_tokens(IMAGES, TOKENS, WIDTH), PROMPTS["both"]
    whole = adapted_block(block, x, prompts, adapter)
    found = adapted_block(block, x, prompts, adapter, keep)
    torch.testing.assert_close(found, whole[:, :keep], atol=1e-12, rtol=0)


def test_half_precision_on_a_cpu_differs_by_rounding_alone() -> None:
    block = random_module(Block(WIDTH, num_heads=4, qkv_bias=True, qk_norm=True))
    x, prompts = random_tokens(IMAGES, TOKENS, WIDTH), PROMPTS["both"]
    expected = adapted_block(block, x, prompts)
    half = adapted_block(block.bfloat16(), x.bfloat16(), [prompt.bfloat16() for prompt in prompts])
    assert half.dtype == torch.bfloat16
    error = (half.double() - expected).norm() / expected.norm()
    assert 0 < error < 0.02


def test_gradients_equal_those_of_the_concatenated_form() -> None:
    block = random_module(Block(WIDTH, num_heads=4, qkv_bias=True, qk_norm=True, init_values=0.1))
    inputs = [random_tokens(IMAGES, TOKENS, WIDTH), *PROMPTS["both"]]
    direction = random_tokens(IMAGES, TOKENS, WIDTH, seed=9)
    gradients = []
    for form in (adapted_block, concatenate_and_discard):
        x, *prompts = (tensor.clone().requires_grad_() for tensor in inputs)
        gradients.append(torch.autograd.grad((form(block, x, prompts) * direction).sum(), [x, *prompts]))
    for found, expected in zip(*gradients, strict=True):
        torch.testing.assert_close(found, expected, atol=1e-10, rtol=0)


def test_under_autocast_the_normalized_tokens_are_cast_once_and_for_all_that_read_them() -> None:
    block = random_module(Block(WIDTH, num_heads=4, qkv_bias=True)).float()
    adapter = random_module(Adapter(WIDTH, 6), seed=5).float()
    x, prompts = random_tokens(IMAGES, TOKENS, WIDTH).float(), [prompt.float() for prompt in PROMPTS["both"]]
    read: list[torch.dtype] = []
    for reader in (block.mlp.fc1, adapter):
        reader.register_forward_pre_hook(lambda module, given: read.append(given[0].dtype))
    with torch.autocast("cpu", torch.bfloat16):
        found = adapted_block(block, x, prompts, adapter)
    assert read == [torch.bfloat16] * 2
    assert found.dtype == torch.float32  # what is added up stays whole
    expected = adapted_block(block, x, prompts, adapter)
    assert 0 < (found - expected).norm() / expected.norm() < 0.02
