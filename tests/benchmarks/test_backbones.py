"""The benchmark of all backbones, on few of them; the computed memory is what autograd keeps."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from timm.models.vision_transformer import VisionTransformer

from benchmarks.backbones import __main__ as command
from benchmarks.backbones import memory
from benchmarks.backbones.memory import Tower, phase1_bytes, phase2_bytes
from benchmarks.backbones.table import names, tables, tags, takes_prompts
from benchmarks.backbones.trial import Trial, shapes_only, try_clip, try_timm
from lptpp.models import attention
from lptpp.models.encoder import AdaptedEncoder
from lptpp.models.held import hold_in_bf16

DOCS = Path(__file__).parents[2] / "docs"
SMALL = Tower("tiny", batch=4, width=64, depth=6, tokens=65, mlp=256)


@contextmanager
def kept() -> Iterator[list[int]]:
    """Collect, per storage, the bytes that autograd keeps inside of the block, without parameters of the tower."""
    found: dict[int, int] = {}
    alive = []  # so that no storage is used again
    total: list[int] = []

    def note(tensor: torch.Tensor) -> torch.Tensor:
        if not isinstance(tensor, torch.nn.Parameter) and not tensor.is_leaf:
            found[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            alive.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        yield total
    total.append(sum(found.values()))


def encoder(tower: Tower, **parts: int) -> AdaptedEncoder:
    torch.manual_seed(0)
    sizes = {"embed_dim": tower.width, "depth": tower.depth, "mlp_ratio": tower.mlp / tower.width, "num_heads": 2}
    frozen = VisionTransformer(img_size=32, patch_size=4, num_classes=0, global_pool="avg", **sizes)
    hold_in_bf16(frozen.requires_grad_(False))
    return AdaptedEncoder(frozen, adapter_width=1, shared_prompts=1, **parts)


@pytest.fixture
def fused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Attention in bf16 as on a GPU, by the fused kernel, which keeps no scores."""

    def mix(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, scale: float, bias: None) -> torch.Tensor:
        return F.scaled_dot_product_attention(q, k, v, scale=scale)

    monkeypatch.setattr(attention, "_mix", mix)


@pytest.mark.parametrize("tower", [SMALL, SMALL._replace(mlp=280), SMALL._replace(depth=9, batch=2)])
def test_the_computed_memory_is_what_autograd_keeps(tower: Tower, fused: None) -> None:
    images = torch.randn(tower.batch, 3, 32, 32)
    for checkpointing in (False, True):
        model = encoder(tower)
        model.recompute(checkpointing)
        with torch.autocast("cpu", torch.bfloat16), kept() as total:
            feature = model.query_feature(images)
        del feature
        one_block = memory.block_bytes(tower) if checkpointing else 0  # computed again in the backward pass
        assert total[0] + one_block == pytest.approx(phase1_bytes(tower, checkpointing), rel=0.1)


def test_the_computed_memory_of_phase_2(fused: None) -> None:
    model = encoder(SMALL, group_prompts=1, num_groups=3, top_k=1, group_blocks=3)
    for part in (model.shared, model.adapters):
        part.requires_grad_(False)
    with torch.autocast("cpu", torch.bfloat16), kept() as total:
        encoding = model(torch.randn(SMALL.batch, 3, 32, 32))
    del encoding
    assert total[0] == pytest.approx(phase2_bytes(SMALL, 3), rel=0.1)


def test_the_page_has_the_table() -> None:
    page = (DOCS / "backbones.md").read_text(encoding="utf-8")
    assert "\n".join(memory.table()) in page
