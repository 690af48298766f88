"""Frozen towers in bfloat16, and blocks that are computed again in the backward pass: less memory, equal results."""

import pytest
import torch
from timm.models.vision_transformer import VisionTransformer

from lptpp.inference import runtime
from lptpp.models.encoder import AdaptedEncoder
from lptpp.models.held import hold_in_bf16
from tests.models.test_mixture import make_mixture

WIDTH, DEPTH, TOKENS = 32, 3, 17
PARTS = {"shared_prompts": 2, "adapter_width": 2, "group_prompts": 2, "num_groups": 3, "top_k": 1, "group_blocks": 2}


def tower() -> VisionTransformer:
    torch.manual_seed(0)
    return VisionTransformer(
        img_size=32, patch_size=8, embed_dim=WIDTH, depth=DEPTH, num_heads=2, num_classes=0, init_values=0.3
    ).requires_grad_(False)


def encoder(frozen: VisionTransformer, **parts: int) -> AdaptedEncoder:
    torch.manual_seed(1)
    found = AdaptedEncoder(frozen, **parts)
    for adapter in found.adapters or ():
        torch.nn.init.normal_(adapter.up.weight)
    return found


def gradients(of: AdaptedEncoder) -> list[torch.Tensor]:
    images = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(2))
    encoding = of(images)
    loss = encoding.feature.float().square().sum() + encoding.query_feature.float().sum() + encoding.match.sum()
    trained = [one for one in of.parameters() if one.requires_grad]
    return [encoding.feature, *torch.autograd.grad(loss, trained)]


def test_a_held_tower_has_the_same_outputs_and_gradients_to_the_bit() -> None:
    plain, held = encoder(tower(), **PARTS), encoder(tower(), **PARTS)
    hold_in_bf16(held.tower)
    with torch.autocast("cpu", torch.bfloat16):
        for one, other in zip(gradients(plain), gradients(held), strict=True):
            assert torch.equal(one, other)
            assert one.abs().sum() > 0
    stored = sum(p.nbytes for p in held.tower.parameters()) / sum(p.nbytes for p in plain.tower.parameters())
    assert 0.5 < stored < 0.55
    assert held.tower.pos_embed.dtype == held.tower.blocks[0].norm1.weight.dtype == torch.float32


@pytest.mark.parametrize(
    "device, precision, wanted, held",
    [
        ("cuda", "bf16", "auto", True),
        ("cuda", "bf16", "float32", False),
        ("cuda", "no", "auto", False),
        ("cpu", "bf16", "auto", False),
    ],
)
def test_frozen_towers_are_held_where_a_gpu_computes_in_bf16(
    device: str, precision: str, wanted: str, held: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    mixture = make_mixture("wide", "middle")
    mixture.experts["middle"].tune_backbone = True
    monkeypatch.setattr(mixture, "to", lambda device: mixture)
    accelerator = type("Fake", (), {"device": torch.device(device), "mixed_precision": precision})()
    runtime.place(mixture, accelerator, wanted)
    types = {name: expert.encoder.tower.blocks[0].mlp.fc1.weight.dtype for name, expert in mixture.experts.items()}
    assert types == {"wide": torch.bfloat16 if held else torch.float32, "middle": torch.float32}


def test_recomputed_blocks_give_the_same_gradients_to_the_bit() -> None:
    plain, again = encoder(tower(), **PARTS), encoder(tower(), **PARTS)
    again.recompute(True)
    for one, other in zip(gradients(plain), gradients(again), strict=True):
        assert torch.equal(one, other)
    again.recompute(False)
    assert again.run_block is plain.run_block


def kept(of: AdaptedEncoder, batch: int) -> int:
    """Return the numbers that a forward pass keeps for the backward pass, without parameters."""
    own = {one.untyped_storage().data_ptr() for one in of.parameters()}
    seen: dict[int, int] = {}

    def note(tensor: torch.Tensor) -> torch.Tensor:
        place = tensor.untyped_storage().data_ptr()
        if place not in own:
            seen[place] = max(seen.get(place, 0), tensor.numel())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        alive = of.query_feature(torch.randn(batch, 3, 32, 32))  # holds its graph, so that no storage is used again
        total = sum(seen.values())
    del alive
    return total


def test_the_memory_of_the_documentation_is_what_autograd_keeps() -> None:
    """docs/backbones.md: 11 numbers per width, token and block; 1 if blocks are computed again."""
    found = {}
    for wanted in (False, True):
        for depth in (2, 3):
            torch.manual_seed(0)
            frozen = tower()
            frozen.blocks = frozen.blocks[:depth]
            of = encoder(frozen, shared_prompts=1, adapter_width=1)
            of.read = None
            of.recompute(wanted)
            found[wanted, depth] = kept(of, 8)
    per_block = [found[wanted, 3] - found[wanted, 2] for wanted in (False, True)]
    numbers = [one / (8 * TOKENS * WIDTH) for one in per_block]
    assert numbers[0] == pytest.approx(11, rel=0.1)
    assert numbers[1] == pytest.approx(1, rel=0.1)
