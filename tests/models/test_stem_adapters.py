"""Adapters in the stem against a literal version, and a run that trains them."""

import copy
from itertools import pairwise

import pytest
import timm
import torch
from safetensors.torch import load_file
from torch import nn

import lptpp
from lptpp.backbones.cards import build_parts
from lptpp.backbones.pooled import PooledTower
from lptpp.checkpoint.store import steps
from lptpp.config import ExpertSettings, load_settings
from lptpp.models.build import encoder_of
from lptpp.models.encoder import AdaptedEncoder
from lptpp.models.stem_adapters import StemAdapter
from lptpp.training.fit import fit
from lptpp.utils.errors import UserError
from tests.models.literal import randomise
from tests.models.test_encoder import tiny_timm
from tests.towers import VISION
from tests.training.test_resume import tuned

WIDTH = 3


@pytest.fixture
def tower() -> nn.Module:
    return build_parts(VISION)["tower"].eval().requires_grad_(False)


@torch.no_grad()
def test_equals_the_formula_written_as_loops() -> None:
    adapter, maps = StemAdapter(4, WIDTH).double(), torch.randn(2, 4, 2, 3, dtype=torch.float64)
    randomise(list(adapter.parameters()), seed=0)
    adapter.double()
    found = adapter(maps)
    down, up = adapter.down, adapter.up
    for b, y, x in ((b, y, x) for b in range(2) for y in range(2) for x in range(3)):
        at = maps[b, :, y, x]
        narrow = [
            max(0.0, float(down.bias[j] + sum(down.weight[j, i, 0, 0] * at[i] for i in range(4)))) for j in range(WIDTH)
        ]
        for i in range(4):
            expected = at[i] + up.bias[i] + sum(up.weight[i, j, 0, 0] * narrow[j] for j in range(WIDTH))
            assert abs(found[b, i, y, x] - expected) < 1e-12


def test_an_untrained_stem_is_that_of_the_tower_and_can_learn(tower: nn.Module) -> None:
    encoder, images = AdaptedEncoder(tower, stem_adapter_width=WIDTH), torch.randn(2, 3, 64, 64)
    torch.testing.assert_close(encoder.query_feature(images), encoder.frozen().query_feature(images))
    encoder.query_feature(images).square().sum().backward()
    assert all(adapter.up.weight.grad.abs().sum() > 0 for adapter in encoder.stem_adapters)


@torch.no_grad()
def test_each_adapter_changes_what_its_block_returns(tower: nn.Module) -> None:
    encoder, images = AdaptedEncoder(copy.deepcopy(tower), stem_adapter_width=WIDTH), torch.randn(2, 3, 64, 64)
    randomise(list(encoder.stem_adapters.parameters()), seed=1)
    blocks = [block for stage in tower.patch_embed.backbone.blocks for block in stage]
    assert len(blocks) == len(encoder.stem_adapters) > 1
    for block, adapter in zip(blocks, encoder.stem_adapters, strict=True):
        block.register_forward_hook(lambda _, seen, found, own=adapter: own(found))
    expected = tower(images)
    torch.testing.assert_close(encoder.query_feature(images), expected)
    assert not torch.allclose(encoder.frozen().query_feature(images), expected)


def naflex() -> nn.Module:
    return timm.create_model("test_vit", num_classes=0, use_naflex=True)


def no_vit() -> nn.Module:
    return PooledTower(timm.create_model("test_convnext", num_classes=0), 64)


@pytest.mark.parametrize("make", [tiny_timm, naflex, no_vit])
def test_a_tower_without_a_convolutional_stem_is_refused(make) -> None:
    with pytest.raises(UserError, match="stem_adapter_width=3"):
        encoder_of(make(), ExpertSettings(stem_adapter_width=WIDTH, group_prompts=0))


def test_phase_1_trains_them_and_later_phases_leave_them(settings_of, tmp_path) -> None:
    widths = [f"experts.{name}.stem_adapter_width={WIDTH}" for name in ("visual", "language")]
    result = fit(settings_of(tmp_path / "run", *widths, "keep_checkpoints=100"))
    tensors = tuned(tmp_path / "run")
    found = {name: tensor for name, tensor in tensors.items() if "stem_adapters" in name and "up.weight" in name}
    assert {name.split(".")[1] for name in found} == {"visual", "language"}
    assert all(tensor.abs().sum() > 0 for tensor in found.values())
    parts = result.metrics["tuned_parts"]["visual"]
    assert parts["stem adapters"] == sum(t.numel() for n, t in tensors.items() if "visual.encoder.stem_adapters" in n)
    folder = tmp_path / "run/checkpoint"
    kept = [load_file(folder / f"step-{step}/tuned.safetensors") for step in sorted(steps(folder))]
    own = [name for name in tensors if "visual.encoder.stem_adapters" in name]
    changes = [any(not torch.equal(one[name], next_one[name]) for name in own) for one, next_one in pairwise(kept)]
    assert changes == [True] + [False] * (len(kept) - 2)  # the second epoch of visual/phase1, and nothing after it
    model = lptpp.load(tmp_path / "run", "cpu")
    assert model.predict(torch.zeros(40, 40, 3, dtype=torch.uint8).numpy())


def test_cached_views_need_a_frozen_stem(tmp_path) -> None:
    with pytest.raises(UserError, match=r"augmentation\.cached_views=4"):
        load_settings("emoji", ["experts.visual.stem_adapter_width=8"])
    with pytest.raises(UserError, match=r"visual\.stem_adapter_width and experts\.language\.stem_adapter_width"):
        load_settings("emoji", [f"experts.{name}.stem_adapter_width=8" for name in ("visual", "language")])
