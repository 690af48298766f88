"""What an evaluation keeps for the report: selected groups, probability of the true class; against loops."""

import csv
from collections import Counter

import numpy as np
import pytest
import torch

from lptpp.data.cache import ImageCache
from lptpp.data.dataset import Split
from lptpp.evaluation.evaluate import evaluate
from lptpp.evaluation.files import group_rows, prediction_rows
from lptpp.evaluation.rankings import Evaluation, Ranking
from lptpp.evaluation.table import MIXTURE
from lptpp.inference.pipeline import split_batches
from lptpp.inference.runtime import Runner
from lptpp.inference.views import view_transforms

NAMES = ["a", "b, c", "<d>"]


def evaluation(**given) -> Evaluation:
    ranking = Ranking(np.array([[0], [1], [1], [2]]), np.full((4, 1), 0.5))
    return Evaluation(np.array([0, 1, 1, 2]), {MIXTURE: ranking}, MIXTURE, **given)


@pytest.mark.parametrize("batch_size", [5, 12])
def test_truth_and_groups_are_those_of_every_picture_alone(batch_size, trained, pictures):
    parts = ImageCache(Split(sorted(pictures.glob("test/*/*.png")), np.arange(12) // 3), 2**20)
    found = evaluate(trained.mixture, parts, Runner(torch.device("cpu"), batch_size=batch_size))
    alone = split_batches(parts, view_transforms(trained.mixture, "one"), 1, range(12))
    for index, (images, _, _) in enumerate(alone):
        with torch.no_grad():
            outputs = trained.mixture.forward_experts(images)
            mixed = trained.mixture(images)
        assert found.truth[index] == pytest.approx(float(mixed.probabilities[0, index // 3]), rel=1e-4)
        for name, one in outputs.items():
            assert found.groups[name][index].tolist() == one.groups[0].tolist()


def test_groups_are_counted_by_expert_and_class_from_one():
    selected = {"visual": np.array([[0, 2], [2, 1], [2, 0], [1, 0]]), "language": np.array([[4], [4], [4], [0]])}
    expected: Counter = Counter()
    for expert, groups in selected.items():
        for label, row in zip((0, 1, 1, 2), groups, strict=True):
            expected.update((expert, NAMES[label], int(group) + 1) for group in row)
    found = {
        (row["expert"], row["class"], row["group"]): row["images"]
        for row in group_rows(evaluation(groups=selected), NAMES)
    }
    assert found == expected
    assert list(group_rows(evaluation(), NAMES)) == []


def test_predictions_hold_the_probability_of_the_truth():
    split = Split([np.zeros((2, 2, 3), np.uint8)] * 4, np.array([0, 1, 1, 2]))
    rows = list(prediction_rows(evaluation(truth=np.array([0.5, 0.25, 0.1234567, 0])), split, NAMES, []))
    assert [row["true_probability"] for row in rows] == [0.5, 0.25, 0.123457, 0]
    assert "true_probability" not in next(prediction_rows(evaluation(), split, NAMES, []))


def test_a_run_folder_holds_its_groups(trained):
    with (trained.folder / "groups.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for expert in ("visual", "language"):
        of_expert = [row for row in rows if row["expert"] == expert]
        assert sum(int(row["images"]) for row in of_expert) == 12  # one group an image
        assert {row["group"] for row in of_expert} <= {"1", "2", "3"}
