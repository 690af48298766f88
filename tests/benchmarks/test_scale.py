from pathlib import Path

import pytest
import torch
from timm.models.vision_transformer import VisionTransformer
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.scale import paper
from benchmarks.scale.__main__ import table
from benchmarks.scale.costs import Cost, costs, slopes
from benchmarks.scale.start import start_of_list


def test_slopes_are_those_of_powers() -> None:
    found = [Cost("line", n, 3.0 * n) for n in (10, 100, 1000)] + [Cost("square", n, 1.0 * n * n) for n in (10, 100)]
    assert slopes(found) == pytest.approx({"line": 1, "square": 2})


def test_every_cost_is_measured_and_paths_take_less_than_100_bytes(tmp_path: Path) -> None:
    found = [cost for size in (200, 400) for cost in costs(size, tmp_path, classes=20)]
    assert len(found) == 20 and table(found).count("\n") == 11
    assert all(cost.value < 100 * cost.images for cost in found if cost.unit == "bytes")


def test_flops_on_paper_are_those_that_pytorch_counts() -> None:
    tower = paper.Tower(width=48, blocks=3, tokens=17, patch=8)
    model = VisionTransformer(32, 8, embed_dim=48, depth=3, num_heads=2, num_classes=0)
    for block in model.blocks:
        block.attn.fused_attn = False  # fused attention is not counted on the CPU
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(torch.rand(1, 3, 32, 32))
    assert tower.forward() == counter.get_total_flops()
    assert paper.Tower().forward() == pytest.approx(2 * 17.5e9, rel=0.01)  # ViT-B/16 at 224 pixels


def test_costs_on_paper_fall_with_the_gpus_until_they_exchange_more_than_they_compute() -> None:
    training = paper.TRAININGS[0]
    found = [paper.cost(training, gpus) for gpus in (1, 8, 64, 1024)]
    assert [one.hours for one in found] == sorted((one.hours for one in found), reverse=True)
    assert found[0].hours / found[1].hours < 8 < found[0].hours / found[2].hours < 64
    assert found[-1].limit == "exchange"
    slow = paper.Machine(loader=1e9)
    assert paper.cost(training, 1, machine=slow).limit == "computation"


def test_a_run_is_measured_up_to_its_first_step(tmp_path: Path) -> None:
    found = start_of_list(800, tmp_path, images=10, classes=4)
    assert found.cpu_seconds > 0.1 and found.seconds > 0.1 and 0.1 < found.peak_gb < 10
    assert not (tmp_path / "run" / "history.csv").exists()
