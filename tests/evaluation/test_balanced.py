import json
import random
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from lptpp import api
from lptpp.config import load_settings
from lptpp.evaluation.balanced import balanced_metrics, balanced_part, describe_balanced
from lptpp.evaluation.rankings import Evaluation, Ranking
from lptpp.evaluation.run import evaluate_run, evaluated, other_options
from lptpp.evaluation.table import AVERAGE, MIXTURE
from lptpp.inference.runtime import Runner

pytestmark = pytest.mark.usefixtures("no_figures")
LABELS = np.array(random.Random(0).sample([0] * 40 + [1] * 5 + [2] * 4 + [4] * 6, 55))  # class 3 has no image
COUNTS = np.array([200, 50, 50, 50, 3])


@pytest.fixture
def evaluation() -> Evaluation:
    """The average is correct on class 0 only, the mixture on the first 30 images."""
    large = np.where(LABELS == 0, 0, 3)
    first = np.where(np.arange(55) < 30, LABELS, 3)
    sure = np.full((55, 1), 0.5)
    rankings = {AVERAGE: Ranking(large[:, None], sure), MIXTURE: Ranking(first[:, None], sure)}
    return Evaluation(LABELS, rankings, MIXTURE)


@pytest.mark.parametrize("images", [1, 4, 5, 6, 40])
def test_equally_many_images_are_drawn_from_every_class_that_has_them(images: int) -> None:
    places = balanced_part(LABELS, images, seed=0)
    assert len(set(places.tolist())) == len(places)
    assert places.tolist() == sorted(places)
    drawn = [LABELS[places].tolist().count(c) for c in range(5)]
    assert drawn == [images if LABELS.tolist().count(c) >= images else 0 for c in range(5)]


def test_the_draw_follows_from_the_seed_and_a_class_from_itself_alone() -> None:
    first, again, other = (balanced_part(LABELS, 5, seed) for seed in (0, 0, 1))
    assert first.tolist() == again.tolist() != other.tolist()
    without = np.where(LABELS == 4, 1, LABELS)  # class 4 is gone, 0 has the same pictures
    assert [i for i in first if LABELS[i] == 0] == [i for i in balanced_part(without, 5, 0) if LABELS[i] == 0]


def test_rows_are_accuracies_counted_by_hand(evaluation: Evaluation) -> None:
    found = balanced_metrics(evaluation, COUNTS, (20, 100), 5, seed=0)
    assert (found["images_per_class"], found["classes"]) == (5, 3)
    shots = {"many": [0], "medium": [1, 2, 3], "few": [4], "overall": [0, 1, 2, 3, 4]}
    for name, ranking in evaluation.rankings.items():
        for key, classes in shots.items():
            hits = [
                ranking.classes[i, 0] == LABELS[i] for i in balanced_part(LABELS, 5, seed=0) if LABELS[i] in classes
            ]
            assert found["rows"][str(name)][key] == pytest.approx(100 * sum(hits) / len(hits))
        assert found["rows"][str(name)].keys() == shots.keys()
    assert found["rows"]["average"]["overall"] == pytest.approx(100 / 3)  # the mean over its three classes


def test_the_part_is_described(evaluation: Evaluation) -> None:
    balanced = balanced_metrics(evaluation, COUNTS, (20, 100), 5, seed=0)
    assert re.findall(r"test|\d+ \w+", describe_balanced(balanced, "the test split")) == [
        "test",
        "5 images",
        "3 classes",
    ]
    single = {"images_per_class": 1, "classes": 1}
    assert re.findall(r"\d+ \w+", describe_balanced(single, "the validation split")) == ["1 image", "1 class"]


def test_no_class_with_enough_images_names_the_setting(evaluation: Evaluation) -> None:
    balanced = balanced_metrics(evaluation, COUNTS, (20, 100), 41, seed=0)
    assert (balanced["classes"], balanced["rows"]) == (0, {})
    assert re.search(r"41 images .*test.*evaluation\.balanced", describe_balanced(balanced, "the test split"))


@pytest.fixture
def run(trained, tmp_path) -> Path:
    return Path(shutil.copytree(trained.folder, tmp_path / "run"))


def test_evaluate_adds_it_without_predicting_an_image_twice(run, trained, monkeypatch) -> None:
    calls = []
    expert_outputs = Runner.expert_outputs
    monkeypatch.setattr(Runner, "expert_outputs", lambda self, *rest: (calls.append(1), expert_outputs(self, *rest))[1])
    metrics = api.evaluate(run, ["evaluation.balanced=3"])
    assert len(calls) == 1
    assert metrics["rows"] == trained.metrics["rows"]
    assert json.loads((run / "metrics.json").read_text())["balanced"] == metrics["balanced"]
    assert (metrics["balanced"]["classes"], list(metrics["balanced"]["rows"])) == (4, list(metrics["rows"]))
    for name, row in metrics["balanced"]["rows"].items():  # the test part is balanced as it is, 3 of each class
        assert row["overall"] == pytest.approx(metrics["rows"][name]["mean_class"])
    page = " ".join((run / "report.html").read_text().split())
    assert describe_balanced(metrics["balanced"], "the test split").capitalize() in page


def test_a_run_that_was_evaluated_otherwise_is_evaluated_again(run) -> None:
    plain, balanced = (load_settings(run / "config.yaml", [f"evaluation.balanced={n}", f"run={run}"]) for n in (0, 2))
    assert evaluated(plain) is not None
    assert evaluated(balanced) is None
    evaluate_run(run, ["evaluation.balanced=2"])
    assert evaluated(balanced) is not None
    assert evaluated(plain) == evaluated(balanced)  # that of `evaluate` is shown, as the run asks for no other
    assert other_options(plain, evaluated(plain)) == {"balanced": 2}
    assert other_options(balanced, evaluated(plain)) == {}
