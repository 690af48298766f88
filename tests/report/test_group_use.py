"""The sentences on the use of the prompt groups, with literal counts."""

from lptpp.report.group_use import CREDIT, credits, unused, usage

USE = {
    "num_groups": 20,
    "top_k": 2,
    "used_groups": 6,
    "used_sets": 3,
    "effective_groups": 4.26,
    "effective_sets": 2.04,
    "gain_over": {},
}


def test_groups_and_pairs_are_counted_against_those_there_are() -> None:
    assert usage(USE) == (
        "6 of 20 groups are used, equivalent to 4.3 equally used groups; each image selects 2. 3 of 190 possible pairs"
        " occur, equivalent to 2.0 equally used pairs."
    )
    assert usage(USE | {"top_k": 4}).endswith(
        "3 of 4,845 possible sets of 4 occur, equivalent to 2.0 equally used sets of 4."
    )
    assert usage(USE | {"top_k": 1}).endswith("each image selects 1.")


def test_fewer_than_half_of_the_groups_are_named() -> None:
    groups = {"visual": USE | {"used_groups": 9}, "language": USE | {"used_groups": 10}}
    (sentence,) = unused(groups)
    assert sentence.startswith("visual uses 9 of its 20 prompt groups, fewer than half: ")
    assert "experts.visual.num_groups" in sentence
    assert list(unused({"visual": USE | {"num_groups": 1, "used_groups": 1}})) == []


def test_what_own_groups_gain_is_told_with_its_interval() -> None:
    gain_over = {
        "random": {"overall": {"points": 0.04, "interval": [-1.2, 1.3]}, "few": None},
        "none": {"overall": {"points": 2.0, "interval": [0.5, 3.5]}, "few": {"points": -3.0, "interval": [-5.0, -1.0]}},
    }
    assert credits({"visual": USE | {"gain_over": gain_over}, "language": USE}) == (
        f"{CREDIT} visual: +0.0 points over random groups (95% interval −1.2 to +1.3, not significant); +2.0 points"
        " over no groups (95% interval +0.5 to +3.5), few-shot −3.0 (95% interval −5.0 to −1.0)."
    )
    assert credits({"visual": USE, "language": USE}) == credits({}) == ""
