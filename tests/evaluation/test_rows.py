"""What an evaluation keeps for the report: the chosen groups, the probability of the truth; against loops."""

import csv
from collections import Counter

import numpy as np
import pytest
import torch

from lptpp.data.cache import Pictures
from lptpp.data.dataset import Split
from lptpp.evaluation.evaluate import Evaluation, Ranking, evaluate
from lptpp.evaluation.files import group_rows, prediction_rows
from lptpp.inference.runtime import Runner, evaluation_views

NAMES = ["a", "b, c", "<d>"]


def evaluation(**given) -> Evaluation:
    ranking = Ranking(np.array([[0], [1], [1], [2]]), np.full((4, 1), 0.5))
    return Evaluation(np.array([0, 1, 1, 2]), {"row": ranking}, "row", **given)


@pytest.mark.parametrize("batch_size", [5, 12])
def test_truth_and_groups_are_those_of_every_picture_alone(batch_size, trained, pictures):
    parts = Pictures(Split(sorted(pictures.glob("test/*/*.png")), np.arange(12) // 3), 2**20)
    found = evaluate(trained.mixture, parts, Runner(torch.device("cpu"), batch_size=batch_size))
    views = evaluation_views(trained.mixture, parts)
    for index in range(12):
        images = views.of([(index, 0)])[0]
        with torch.no_grad():
            outputs = trained.mixture.forward_experts(images)
            mixed = trained.mixture(images)
        assert found.truth[index] == pytest.approx(float(mixed.probabilities[0, index // 3]), rel=1e-4)
        for name, one in outputs.items():
            assert found.chosen[name][index].tolist() == one.chosen[0].tolist()


def test_groups_are_counted_by_expert_and_class_from_one():
    chosen = {"visual": np.array([[0, 2], [2, 1], [2, 0], [1, 0]]), "language": np.array([[4], [4], [4], [0]])}
    expected: Counter = Counter()
    for expert, groups in chosen.items():
        for label, row in zip((0, 1, 1, 2), groups, strict=True):
            expected.update((expert, NAMES[label], int(group) + 1) for group in row)
    found = {
        (row["expert"], row["class"], row["group"]): row["images"]
        for row in group_rows(evaluation(chosen=chosen), NAMES)
    }
    assert found == expected
    assert list(group_rows(evaluation(), NAMES)) == []


def test_predictions_hold_the_probability_of_the_truth():
    split = Split([np.zeros((2, 2, 3), np.uint8)] * 4, np.array([0, 1, 1, 2]))
    messages = list(prediction_rows(evaluation(truth=np.array([0.5, 0.25, 0.1234567, 0])), split, NAMES, []))
    assert [row["true_probability"] for row in messages] == [0.5, 0.25, 0.123457, 0]
    assert "true_probability" not in next(prediction_rows(evaluation(), split, NAMES, []))


def test_a_run_folder_holds_its_groups(trained):
    with (trained.folder / "groups.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for expert in ("visual", "language"):
        of_expert = [row for row in rows if row["expert"] == expert]
        assert sum(int(row["images"]) for row in of_expert) == 12  # one group an image
        assert {row["group"] for row in of_expert} <= {"1", "2", "3"}
