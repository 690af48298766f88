"""The use of the prompt groups, and their gain over control rows, with counts by hand."""

import csv
from math import exp, log

import numpy as np
import pytest

from lptpp.config import ExpertSettings
from lptpp.evaluation.files import group_set_rows
from lptpp.evaluation.groups import effective_number, group_metrics, group_use
from lptpp.evaluation.intervals import paired_interval
from lptpp.evaluation.rankings import Evaluation, Ranking
from lptpp.evaluation.table import MIXTURE, ResultRow

GROUPS = np.array([[3, 0], [0, 3], [3, 0], [0, 5], [3, 5], [3, 0], [0, 3], [3, 0]])  # {0, 3}: 6, {0, 5}: 1, {3, 5}: 1
COUNTS = np.array([200, 50, 2])


def entropy_number(*shares: float) -> float:
    return exp(-sum(share * log(share) for share in shares))


def test_groups_and_sets_are_counted_whatever_their_order() -> None:
    assert group_use(GROUPS, 7) == {
        "num_groups": 7,
        "top_k": 2,
        "used_groups": 3,
        "used_sets": 3,
        "effective_groups": pytest.approx(entropy_number(7 / 16, 7 / 16, 2 / 16)),
        "effective_sets": pytest.approx(entropy_number(6 / 8, 1 / 8, 1 / 8)),
    }


@pytest.mark.parametrize(("images", "number"), [([5], 1), ([5, 5, 5], 3), ([4, 0, 4], 2), ([1, 3], 1.7547654)])
def test_the_effective_number_is_that_of_equally_used_ones(images: list[int], number: float) -> None:
    assert effective_number(np.array(images)) == pytest.approx(number)


def test_with_one_group_an_image_sets_are_groups() -> None:
    use = group_use(np.array([[1], [1], [4]]), 5)
    assert (use["used_groups"], use["used_sets"]) == (2, 2)
    assert use["effective_groups"] == use["effective_sets"]


def evaluation(**right: list[int]) -> Evaluation:
    """Return an evaluation of the expert visual on eight images, of which each row has some right."""
    labels = np.array([0, 0, 0, 1, 1, 2, 2, 2])
    rankings = {}
    for kind, places in right.items():
        classes = (labels + 1) % 3
        classes[places] = labels[places]
        rankings[ResultRow(kind, "visual")] = Ranking(classes[:, None], np.full((8, 1), 0.5))
    return Evaluation(labels, rankings, MIXTURE, groups={"visual": GROUPS})


def test_the_gain_of_own_groups_is_counted_image_by_image() -> None:
    made = evaluation(phase1=[0], phase2=[0, 1, 2, 3, 5], phase2_random=[0, 1, 2, 3, 5], phase2_none=[0, 4, 6, 7])
    found = group_metrics(made, {"visual": ExpertSettings(num_groups=7)}, COUNTS, (20, 100))["visual"]["gain_over"]
    assert list(found) == ["random", "none"]
    assert found["random"]["overall"]["points"] == found["random"]["few"]["points"] == 0
    own, none = ([place in places for place in range(8)] for places in ([0, 1, 2, 3, 5], [0, 4, 6, 7]))
    assert found["none"]["overall"]["points"] == 12.5
    assert found["none"]["overall"]["interval"] == list(paired_interval(np.array(own), np.array(none)))
    assert found["none"]["few"]["points"] == pytest.approx(-100 / 3)  # of the last three images
    assert found["none"]["few"]["interval"] == list(paired_interval(np.array(own[5:]), np.array(none[5:])))


def test_without_control_rows_or_few_shot_images_there_is_no_gain() -> None:
    experts = {"visual": ExpertSettings(num_groups=7)}
    assert group_metrics(evaluation(phase2=[0]), experts, COUNTS, (20, 100))["visual"]["gain_over"] == {}
    found = group_metrics(evaluation(phase2=[0], phase2_none=[1]), experts, COUNTS, (1, 100))
    assert found["visual"]["gain_over"]["none"]["few"] is None


def test_the_sets_are_listed_most_used_first() -> None:
    assert list(group_set_rows(evaluation(phase2=[0]))) == [
        {"expert": "visual", "groups": "1 4", "images": 6},
        {"expert": "visual", "groups": "1 6", "images": 1},
        {"expert": "visual", "groups": "4 6", "images": 1},
    ]


def test_a_run_has_its_sets_and_their_number(trained) -> None:
    with (trained.folder / "group_sets.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for expert, use in trained.metrics["groups"].items():
        of_expert = [row for row in rows if row["expert"] == expert]
        assert len(of_expert) == use["used_sets"] == use["used_groups"]  # one group an image
        assert sum(int(row["images"]) for row in of_expert) == 12
        assert (use["num_groups"], use["top_k"], use["gain_over"]) == (3, 1, {})
    assert set(trained.metrics["groups"]) == {"visual", "language"}
