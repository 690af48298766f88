"""What is said about the result: against all rows, an idle scorer, zero-shot at chance."""

import numpy as np
import pytest

from lptpp.evaluation.findings import (
    comparison,
    constant_scorer,
    findings,
    harmful_options,
    precision,
    trained_on,
    weight_ranges,
    zero_shot_at_chance,
)


def metrics(**rows: tuple[float | None, float | None, float | None]) -> dict:
    named = {"mixture": rows.pop("mixture"), **{key.replace("__", "."): row for key, row in rows.items()}}
    return {
        "rows": {key: dict(zip(("overall", "mean_class", "few"), row, strict=True)) for key, row in named.items()},
        "result": "mixture",
        "images": 1000,
        "classes": 10,
    }


def test_the_result_is_compared_with_the_best_of_all_rows_for_each_measure():
    found = metrics(
        mixture=(58.0, 46.5, 41.0),
        average=(57.0, 46.0, 42.0),
        visual__phase1=(50.0, 40.0, 35.0),
        language__linear_probe=(58.2, 37.9, 35.4),
        joint_balanced_probe=(55.0, 48.5, 35.0),
        mixture__prior__uniform=(99.0, 99.0, 99.0),
        oracle=(99.0, 99.0, 99.0),
    )
    found["rows"]["mixture.prior=uniform"] = found["rows"].pop("mixture.prior.uniform")
    found["rows"].pop("oracle")
    assert list(comparison(found)) == [
        "Compared with the best other row, LPT++ is overall 0.2 points below linear probe, language (58.2%); in the"
        " mean over the classes 2.0 points below balanced probe, all towers (48.5%); on few-shot classes 1.0 point"
        " below plain average (42.0%)."
    ]


def test_what_is_printed_as_equal_is_equal_and_what_was_not_measured_is_left_out():
    found = metrics(mixture=(58.0, None, None), average=(58.02, None, None))
    assert list(comparison(found)) == [
        "Compared with the best other row, LPT++ is overall equal to plain average (58.0%)."
    ]
    assert list(comparison(metrics(mixture=(58.0, 1.0, 1.0)))) == []


def test_the_precision_is_the_wilson_interval():
    """Written out: (p + z²/2n ± z·√(p(1 − p)/n + z²/4n²)) / (1 + z²/n) for p = 0.58, n = 1,000, z = 1.96."""
    (text,) = precision(metrics(mixture=(58.0, 46.5, 41.0)))
    assert text.endswith("is 54.9 to 61.0%.") and text.startswith("On 1,000 images")


def test_few_images_of_few_shot_classes_are_counted_beside_their_accuracy():
    found = metrics(mixture=(58.0, 46.5, 50.0), average=(57.0, 46.0, 0.0)) | {"tested": {"few": {"images": 2}}}
    (text,) = comparison(found)
    assert "on few-shot classes (2 images) 50.0 points above plain average (0.0%)" in text
    (text,) = precision(found)
    assert text.endswith("54.9 to 61.0%, and on the 2 images of few-shot classes 9.5 to 90.5%.")


@pytest.mark.parametrize("number", [None, 0, 1, 3])
def test_training_images_among_others_are_counted(number):
    assert list(trained_on(metrics(mixture=(1.0, 1.0, 1.0)), "runs/a")) == []
    found = metrics(mixture=(1.0, 1.0, 1.0)) | {"trained_on": number, "training_images": 2000}
    (text,) = trained_on(found, "runs/a")
    training, caution = "one of the 2,000 training images of runs/a", "accuracy on these is higher than on new images."
    start = {
        None: "runs/a does not record",
        0: f"None of 1,000 images is identical to {training}.",
        1: f"1 of 1,000 images is identical to {training}; {caution}",
        3: f"3 of 1,000 images are identical to {training}; {caution}",
    }
    assert text.startswith(start[number])


@pytest.mark.parametrize(
    ("weights", "sentence"),
    [
        ([[0.5, 0.5], [0.504, 0.496]], ["The scorer weights never leave 0.50: LPT++ is the plain average"]),
        (
            [[0.5, 0.5], [0.52, 0.48]],
            ["The scorer weights stay between 0.48 and 0.52: LPT++ is nearly the plain average"],
        ),
        ([[0.5, 0.5], [0.6, 0.4]], []),
        ([[0.33, 0.33, 0.34]], ["The scorer weights stay between 0.33 and 0.34: LPT++ is nearly the plain average"]),
        ([[1.0]], []),
    ],
)
def test_a_scorer_that_does_nothing_is_named(weights, sentence):
    names = ["visual", "language", "third"][: len(weights[0])]
    found = metrics(mixture=(1.0, 1.0, 1.0)) | {"scorer_weight_ranges": weight_ranges(np.array(weights), names)}
    assert [text.split(" from ")[0].split(" of its")[0] for text in constant_scorer(found)] == sentence


@pytest.mark.parametrize(("accuracy", "named"), [(9.0, True), (11.0, True), (11.7, True), (14.0, False), (60.0, False)])
def test_zero_shot_at_chance_is_named(accuracy, named):
    """Of ten classes and 1,000 images, 10% is guessing; 11.8% is significantly better."""
    found = metrics(mixture=(50.0, 50.0, 50.0), language__zero_shot=(accuracy, accuracy, None))
    assert bool(list(zero_shot_at_chance(found))) == named
    assert any("at chance level" in sentence for sentence in findings(found)) == named


@pytest.mark.parametrize("accuracy", [0.0, 20.0])
def test_on_few_images_zero_shot_is_not_said_to_be_at_chance(accuracy):
    found = metrics(mixture=(50.0, 50.0, 50.0), language__zero_shot=(accuracy, accuracy, None)) | {"images": 5}
    (sentence,) = zero_shot_at_chance(found)
    assert f"5 images are too few to tell whether zero-shot, language ({accuracy:.1f}%" in sentence
    assert "is better than guessing (10.0%)" in sentence


@pytest.mark.parametrize(
    ("accuracy", "mean_class", "error", "named"),
    [(49, 39, 6, True), (49, 41, 6, False), (49, 39, 4, False), (51, 39, 6, False)],
)
def test_an_option_that_is_worse_in_all_is_named(accuracy, mean_class, error, named):
    found = metrics(mixture=(50.0, 40.0, None))
    found["rows"]["mixture"]["calibration_error"] = 5.0
    row = {"overall": accuracy, "mean_class": mean_class, "calibration_error": error}
    found["rows"]["mixture.prior=uniform"] = row
    assert bool(list(harmful_options(found))) == named
    found["rows"]["visual.phase1.prior=uniform"] = {"overall": 1, "mean_class": 1, "calibration_error": 50}
    assert len(list(harmful_options(found))) == named


def test_a_difference_that_may_be_chance_is_no_finding():
    found = metrics(mixture=(80.0, 80.0, 50.0), visual__phase1=(90.0, 90.0, 100.0)) | {"images": 10}
    clear, unclear = [-40.0, -10.0], [-40.0, 20.0]
    texts = []
    for overall, few in ((unclear, unclear), (clear, unclear), (clear, clear)):
        found["differences"] = {"visual.phase1": {"overall": overall, "few": few}}
        texts += comparison(found)
    parts = [f"{where} points below visual, phase 1 ({value}%)" for where, value in (
        ("overall 10.0", "90.0"), ("in the mean over the classes 10.0", "90.0"), ("on few-shot classes 50.0", "100.0")
    )]  # fmt: skip
    assert texts == [
        f"On 10 images, LPT++ does not differ clearly from the best other row: {'; '.join(parts)}.",
        f"Compared with the best other row, LPT++ is {'; '.join(parts)}, which may be chance.",
        f"Compared with the best other row, LPT++ is {'; '.join(parts)}.",
    ]
