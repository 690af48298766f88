"""A frozen tower spread over two processes (FSDP), prompts and adapter whole on each: what docs/scale.md plans."""

import pytest
import torch
import torch.distributed as dist
from timm.models.vision_transformer import VisionTransformer
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

from tests.ranks import one_thread, printed, run_ranks

PROMPTS = 3


def outputs(tower: VisionTransformer, prompts: nn.Parameter, adapter: nn.Parameter) -> list[torch.Tensor]:
    """Return the feature of two images, and the gradients of prompts and adapter."""
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    tokens = tower._pos_embed(tower.patch_embed(images))
    for block in tower.blocks:
        tokens = block(torch.cat([tokens, prompts.expand(2, -1, -1)], 1))[:, :-PROMPTS]
        tokens = tokens + tokens @ adapter
    feature = tower.norm(tokens)[:, 0]
    return [feature, *torch.autograd.grad(feature.square().sum(), [prompts, adapter])]


def compare() -> None:
    dist.init_process_group("gloo")
    torch.manual_seed(0)
    tower = VisionTransformer(32, 8, embed_dim=48, depth=3, num_heads=2, num_classes=0).requires_grad_(False)
    trained = nn.Parameter(torch.randn(1, PROMPTS, 48)), nn.Parameter(0.1 * torch.randn(48, 48))
    whole, size = outputs(tower, *trained), sum(weight.numel() for weight in tower.blocks.parameters())
    mesh = init_device_mesh("cpu", (2,))
    for block in tower.blocks:
        fully_shard(block, mesh=mesh)
    held = sum(weight.to_local().numel() for weight in tower.blocks.parameters())
    spread = outputs(tower, *trained)
    assert held == size / 2
    assert all(torch.equal(one, other) for one, other in zip(whole, spread, strict=True))
    with pytest.raises(RuntimeError, match=r"mixed torch.Tensor and DTensor"):  # as an adapted block uses its parts
        tower.blocks[0].attn.qkv(torch.rand(1, 2, 48))
    dist.destroy_process_group()


@pytest.mark.skipif(not hasattr(torch.cpu.Stream, "record_event"), reason="FSDP on the CPU needs a newer PyTorch")
def test_a_spread_tower_gives_the_same_features_and_gradients(tmp_path):
    with one_thread():
        assert run_ranks(compare, 2, tmp_path) == [0, 0], printed(tmp_path)
