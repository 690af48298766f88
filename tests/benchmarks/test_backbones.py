"""The benchmark of all backbones, on few of them; the computed memory is what autograd keeps."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from timm.models.vision_transformer import VisionTransformer

from benchmarks.backbones import __main__ as command
from benchmarks.backbones import memory
from benchmarks.backbones.memory import Tower, phase1_bytes, phase2_bytes
from benchmarks.backbones.names import Wanted
from benchmarks.backbones.table import names, tables, tags, takes_prompts
from benchmarks.backbones.trial import Trial, refused_tags, shapes_only, try_clip, try_timm
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


def test_a_model_of_each_kind_is_tried() -> None:
    with shapes_only():
        found = [
            try_timm("test_vit.r160_in1k", "vision_transformer", ("test_vit.r160_in1k",), 10**6),
            try_timm("test_resnet.r160_in1k", "resnet", ("test_resnet.r160_in1k",), 0),
            try_timm("test_vit4", "vision_transformer", (), 0),  # no pretrained weights: from a local file
            try_timm("none_such", "resnet", (), 0),
            try_clip("ViT-S-16", "ViT", ()),
        ]
    vit, resnet, without_tag, none, clip = found
    assert (vit.width, vit.no_prompts, vit.real, vit.loads) == (64, None, True, True)
    assert (resnet.real, resnet.loads) == (False, True)
    assert resnet.no_prompts.startswith("is a ResNet")
    assert without_tag.loads
    assert "none_such" in none.failure
    assert (clip.width, clip.no_prompts) == (384, None)
    text = "\n".join(tables(found))
    assert "| timm, ViTs: with prompts | 2 of 2 (100%) | 1 of 1 (100%) |" in text
    assert "| timm, others: as experts | 1 of 2 (50%) | 1 of 1 (100%) |" in text
    assert "- not loaded: none_such: RuntimeError: Unknown model" in text


def test_tags_of_a_model_with_another_gelu_are_refused() -> None:
    given = ("openai", "laion2b_s34b_b79k")
    trial = Trial("language", "ViT-B-32", "ViT", given, refused=tuple(refused_tags("ViT-B-32", given)))
    assert [reason.split(":")[0] for reason in trial.refused] == ["openai"]
    assert str(tags([trial], takes_prompts)) == "1 of 2 (50%)"


def test_a_name_is_good_if_it_is_at_every_size() -> None:
    sizes = [
        Trial("vision", "a.x", "eva", ("a.x",)),
        Trial("vision", "a.y", "eva", ("a.y", "a.z"), failure="too large"),
    ]
    assert str(names(sizes, Trial.loads.fget)) == "0 of 1 (0%)"
    assert str(tags(sizes, Trial.loads.fget)) == "1 of 3 (33%)"


def test_an_interrupted_command_continues(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    made = []

    def trial(name: str) -> Trial:
        if made and name == "b":
            raise KeyboardInterrupt
        made.append(name)
        return Trial("vision", name, "eva", (name,))

    given = [Wanted("vision", name, (name,), partial(trial, name)) for name in "ab"]
    monkeypatch.setattr(command, "all_wanted", lambda real: given)
    path = tmp_path / "new" / "trials.json"
    with pytest.raises(KeyboardInterrupt):
        command.main(["--json", str(path)])
    made.clear()
    command.main(["--json", str(path)])
    assert made == ["b"]
    assert [one["name"] for one in json.loads(path.read_text())["trials"]] == ["a", "b"]
    assert "| timm, ViTs: with prompts | 2 of 2 (100%)" in capsys.readouterr().out
