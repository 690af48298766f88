"""The ablation: its settings are valid, its variants of phases 2 and 3 share their models."""

import io
import math
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from rich.console import Console

from benchmarks.accuracy import ablation
from benchmarks.accuracy.branch import branch
from benchmarks.accuracy.scorers import class_loss, read_class_loss, scorer_rows
from lptpp.evaluation.files import read_metrics
from lptpp.evaluation.table import MISSING
from lptpp.inference.model import load
from lptpp.losses import build_loss
from lptpp.training.dual_sampling import streams
from lptpp.training.fit import fit

PLANS = yaml.safe_load(ablation.PLANS.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", list(PLANS))
def test_every_variant_has_valid_settings_and_none_uses_the_test_split(name: str, tmp_path: Path) -> None:
    made = ablation.Ablation(PLANS[name], tmp_path, "somewhere")
    for phase in ("phase1", "phase2"):
        for title, overrides in PLANS[name][phase].items():
            settings = made.settings(ablation.slug(title), [*PLANS[name]["one_expert"], *overrides])
            assert settings.evaluation.split == "validation"
            assert settings.evaluation.baselines == []
            assert len(settings.experts) == 1
            for stream in [settings.phase1.main, *streams(settings.phase2)]:
                build_loss(stream.loss.name, torch.tensor([5, 1]), 20.0, stream.loss.options)


def test_a_branch_keeps_the_phase_1_model_and_trains_the_rest(settings_of, tmp_path):
    alone = ("use_experts=[visual]", "experts.visual.group_prompts=0", "phase1.epochs=1")
    parent, child = tmp_path / "parent", tmp_path / "child"
    fit(settings_of(parent, *alone))
    settings = settings_of(
        child, "use_experts=[visual]", "experts.visual.num_groups=5", "phase1.epochs=1", "phase2.epochs=1"
    )
    branch(parent, settings)
    metrics = fit(settings).metrics
    before, after = load(parent).mixture.tuned_state(), load(child).mixture.tuned_state()
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
    assert not torch.equal(after["experts.visual.heads.1.weight"], after["experts.visual.heads.0.weight"])
    assert list(metrics["rows"])[-2:] == ["visual.phase1", "visual.phase2"]


def test_variants_of_phase_2_are_followed_by_their_control_rows(config, tmp_path):
    quick = ["data.validation=0.3", "evaluation.split=validation", "evaluation.baselines=[]", "phase1.epochs=1"]
    plan = {
        "config": str(config),
        "common": [*quick, "phase2.epochs=1"],
        "one_expert": ["use_experts=[visual]"],
        "phase1": {"as configured": []},
        "phase2_common": PLANS["cifar100_lt"]["phase2_common"],
        "phase2": {"1 group": [], "2 groups": ["experts.visual.top_k=2"]},
    }
    made = ablation.Ablation(plan, tmp_path, None)
    rows = [*made.phase1(), *made.phase2()]
    assert [row["row"] for row in rows] == ["as configured"] + [
        f"{variant}{control}"
        for variant in ("1 group", "2 groups")
        for control in ("", ", random groups", ", no groups")
    ]
    metrics = read_metrics(tmp_path / "phase2-2_groups")
    assert [row["mean_class"] for row in rows[-3:]] == [
        metrics["rows"][f"visual.{kind}"]["mean_class"] for kind in ("phase2", "phase2_random", "phase2_none")
    ]
    assert rows[-3]["groups"] == metrics["groups"] and set(metrics["groups"]["visual"]["gain_over"]) == {
        "random",
        "none",
    }
    console = Console(file=io.StringIO(), width=200)
    ablation.show(rows, console)
    lines = console.file.getvalue().splitlines()
    shown = [line.split("│")[-2].strip() for line in lines if "2 groups" in line]
    assert shown == [f"{rows[-3]['class_loss']:.3f}", MISSING, MISSING]  # the class loss is that of the result


def test_scorers_are_evaluated_on_the_validation_split(settings_of, tmp_path):
    quick = ["phase1.epochs=1", "phase2.epochs=1", "phase3.epochs=1", "evaluation.baselines=[]"]
    fit(settings_of(tmp_path, "data.validation=0.3", *quick))
    rows = list(scorer_rows(tmp_path, [0.001, 0.1]))
    variants = 2 * 3 * 4
    assert len(rows) == 2 + 2 + 2 * variants
    assert all(0 <= row["overall"] <= 100 for row in rows)
    assert {row["first_weight"] for row in rows[4:]} != {0.5}
    slow, fast = ([row["class_loss"] for row in rows[first : first + variants]] for first in (4, 4 + variants))
    assert all(one != other for one, other in zip(slow, fast, strict=True))


def test_the_class_loss_is_the_mean_over_classes_of_their_means() -> None:
    found = class_loss(np.array([0.5, 0.25, 1.0, 0.0]), np.array([3, 3, 7, 8]))
    few = [-(math.log(0.5) + math.log(0.25)) / 2, 0.0, -math.log(1e-6)]
    assert found == pytest.approx(sum(few) / 3)


def test_the_class_loss_is_read_from_predictions_csv(tmp_path: Path) -> None:
    path = tmp_path / "predictions.csv"
    path.write_text("image,true,true_probability,label_1\na.png,cat,0.5,dog\nb.png,dog,0.25,dog\n", encoding="utf-8")
    assert read_class_loss(path) == pytest.approx((math.log(2) + math.log(4)) / 2)
