import pytest

from lptpp.evaluation.parameters import frozen_parameters, parameters, trainable_share


def metrics(backbone: int, classifier: int, all_of_towers: int) -> dict:
    return {
        "tuned_parts": {"visual": {"backbone": backbone, "classifier": classifier}},
        "tuned_parameters": backbone + classifier,
        "backbone_parameters": all_of_towers,
        "tuned_share_percent": 100 * (backbone + classifier) / all_of_towers,
        "tuned_share_without_classifiers_percent": 100 * backbone / all_of_towers,
    }


@pytest.mark.parametrize(
    "trainable, share",
    [(15_000, "1.5%"), (1_000, "0.1%"), (951, "0.1%"), (310, "0.031%"), (57, "0.0057%"), (0, "0%")],
)
def test_a_small_share_has_two_significant_digits(trainable: int, share: str) -> None:
    found = metrics(0, trainable, 1_000_000)
    assert trainable_share(found) == share
    assert parameters(found) == f"{trainable:,} trainable, 1,000,000 frozen ({share}; 0% without the classifiers)"


def test_a_trained_backbone_is_not_frozen() -> None:
    found = metrics(1_000, 20, 1_000)
    assert (frozen_parameters(found), trainable_share(found)) == (0, None)
    assert parameters(found) == "1,020 trainable, 0 frozen"
