"""The control rows of phase 2 against prompts built by hand, image by image."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from lptpp.data.cache import ImageCache
from lptpp.data.dataset import Split
from lptpp.evaluation.controls import control_rankings, control_rows, random_groups
from lptpp.evaluation.run import evaluate_run
from lptpp.evaluation.table import ResultRow
from lptpp.inference.pipeline import split_batches
from lptpp.inference.runtime import Runner
from lptpp.inference.views import view_transforms
from lptpp.models.build import build_mixture
from lptpp.models.mixture import Mixture
from lptpp.models.prompts import GroupPrompts
from lptpp.training.fit import fit
from tests.models.test_encoder import literal_pass

CONTROLS = ["random", "none", "mean"]
QUICK = ["evaluation.baselines=[]", "evaluation.controls=[own,random,none]"]


@pytest.fixture(scope="module")
def mixture(settings_of, tmp_path_factory) -> Mixture:
    """Return a mixture whose groups matter: two of three for each image, with large prompts."""
    sizes = [f"experts.{name}.top_k=2" for name in ("visual", "language")]
    made = build_mixture(settings_of(tmp_path_factory.mktemp("run"), *sizes), 4)
    for expert in made.experts.values():
        expert.encoder.groups.tokens.data.mul_(50)
    return made.requires_grad_(False).eval()


@pytest.fixture(scope="module")
def images(pictures) -> ImageCache:
    return ImageCache(Split(sorted(pictures.glob("test/*/*.png")), np.arange(12) // 3), 2**20)


def prompts_of(groups: GroupPrompts, control: str, drawn: list[int]) -> torch.Tensor | None:
    """Return the prompts (K, P, D) of one image under a control."""
    if control == "none":
        return None
    chosen = drawn if control == "random" else range(3)
    return sum(groups.tokens[entry] for entry in chosen) / len(chosen)


@pytest.mark.parametrize("batch_size", [1, 5, 12])
def test_control_rows_equal_prompts_built_by_hand(batch_size: int, mixture: Mixture, images: ImageCache) -> None:
    runner = Runner(torch.device("cpu"), batch_size=batch_size)
    found = control_rankings(mixture, images, control_rows(mixture, CONTROLS), 7, runner)
    assert [str(row) for row in found] == [
        f"{name}.phase2_{control}" for name in ("visual", "language") for control in CONTROLS
    ]
    for index, (views, _, _) in enumerate(split_batches(images, view_transforms(mixture, "one"), 1, range(12))):
        for row, ranking in found.items():
            expert, control = mixture.experts[row.expert], row.kind.removeprefix("phase2_")
            drawn = random_groups(expert.encoder.groups, 7, row.expert, np.arange(12))[index].tolist()
            prompts = prompts_of(expert.encoder.groups, control, drawn)
            _, feature = literal_pass(expert.encoder, views[row.expert][0], prompts)
            weight = expert.heads[1].weight  # that of phase 2
            cosines = torch.stack([feature @ one / feature.norm() / one.norm() for one in weight])
            expected = (20 * cosines).softmax(0).sort(descending=True)
            torch.testing.assert_close(
                torch.tensor(ranking.probabilities[index]), expected.values, atol=1e-5, rtol=1e-4
            )
    assert len({ranking.probabilities[:, 0].round(4).tobytes() for ranking in found.values()}) == 6


def test_random_groups_are_a_function_of_the_image_alone() -> None:
    groups = GroupPrompts(num_groups=6, top_k=2, blocks=1, length=1, width=3)
    whole = random_groups(groups, 0, "visual", np.arange(3000))
    some = np.array([2999, 4, 17])
    assert torch.equal(random_groups(groups, 0, "visual", some), whole[some])
    for seed, expert in ((1, "visual"), (0, "language")):
        assert not torch.equal(random_groups(groups, seed, expert, some), whole[some])


def test_random_groups_are_distinct_and_every_pair_is_as_likely() -> None:
    groups = GroupPrompts(num_groups=6, top_k=2, blocks=1, length=1, width=3)
    pairs = random_groups(groups, 0, "visual", np.arange(3000)).sort(1).values
    found, images = pairs.unique(dim=0, return_counts=True)
    assert len(found) == 15 and (found[:, 0] < found[:, 1]).all()
    assert images.min() > 150 and images.max() < 250  # 200 expected, standard deviation 14


def test_no_rows_are_computed_unless_they_are_wanted(mixture: Mixture, images: ImageCache) -> None:
    assert control_rows(mixture, []) == control_rows(mixture, ["own"]) == []
    assert control_rankings(mixture, images, [], 0, Runner(torch.device("cpu"))) == {}


@pytest.fixture(scope="module")
def evaluated(trained, tmp_path_factory) -> tuple[Path, dict]:
    run = Path(shutil.copytree(trained.folder, tmp_path_factory.mktemp("controls") / "run"))
    return run, evaluate_run(run, QUICK)[0]


def test_evaluate_adds_the_rows_after_phase_2_and_changes_no_other(trained, evaluated) -> None:
    rows = evaluated[1]["rows"]
    of_expert = ["phase1", "phase2", "phase2_random", "phase2_none"]
    assert list(rows) == [f"{name}.{kind}" for name in ("visual", "language") for kind in of_expert] + [
        "average",
        "mixture",
    ]
    for key in rows.keys() & trained.metrics["rows"].keys():
        assert rows[key] == trained.metrics["rows"][key]
    assert evaluated[1]["controls"] == ["own", "random", "none"]


def test_the_gains_are_the_differences_of_the_rows(evaluated) -> None:
    rows = evaluated[1]["rows"]
    for name, use in evaluated[1]["groups"].items():
        for control, gain in use["gain_over"].items():
            for part in ("overall", "few"):
                difference = rows[f"{name}.phase2"][part] - rows[f"{name}.phase2_{control}"][part]
                assert gain[part]["points"] == pytest.approx(difference)
        assert list(use["gain_over"]) == ["random", "none"]


def test_a_finished_run_is_evaluated_again_for_other_controls(settings_of, tmp_path) -> None:
    given = ["method=lpt", "phase1.epochs=1", "phase2.epochs=1", "evaluation.baselines=[]"]
    assert list(fit(settings_of(tmp_path, *given)).metrics["rows"]) == ["visual.phase1", "visual.phase2"]
    again = fit(settings_of(tmp_path, *given, "evaluation.controls=[mean]"))
    assert again.trained and list(again.metrics["rows"])[-1] == str(ResultRow("phase2_mean", "visual"))
    assert again.metrics["result"] == "visual.phase2"
    assert not fit(settings_of(tmp_path, *given, "evaluation.controls=[mean]")).trained


def test_without_group_prompts_the_controls_are_a_warning(settings_of, tmp_path, caplog) -> None:
    given = ["method=vpt_deep", "phase1.epochs=1", "evaluation.baselines=[]", "evaluation.controls=[random,none]"]
    metrics = fit(settings_of(tmp_path, *given)).metrics
    assert list(metrics["rows"]) == ["visual.phase1"] and metrics["groups"] == {}
    assert "evaluation.controls=random, none adds no rows: no expert has group prompts" in caplog.text
