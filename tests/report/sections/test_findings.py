"""Tables and findings against known numbers."""

import re
from dataclasses import replace

import numpy as np
import pytest

from lptpp.evaluation.table import MIXTURE, ResultRow
from lptpp.report.gather import EvaluatedRun, Predictions
from lptpp.report.sections import calibration, classes, confusions, learning, result
from lptpp.report.text import signed


def with_predictions(
    run: EvaluatedRun, labels: list[int], predicted: list[int], confidence: list[float]
) -> EvaluatedRun:
    of = Predictions(
        [], np.array(labels), {MIXTURE: np.array(predicted)}, {MIXTURE: np.array(confidence)}, np.array([]), {}
    )
    return replace(run, predictions=of)


def texts(table) -> list[list[str]]:
    return [[cell.text.replace("\u00a0", " ") for cell in row] for row in table.rows]


def test_the_shot_table_is_that_of_the_metrics(run: EvaluatedRun) -> None:
    table = result.shot_table(run)
    rows = {row[0]: row[1:] for row in texts(table)}
    assert [name.replace("\u00a0", " ") for name in rows] == [row.title for row in run.rows]
    assert rows["LPT++"][0] == f"{run.rows[MIXTURE]['overall']:.1f}"
    assert table.rows[table.highlighted][0].text == "LPT++"
    overall = [row["overall"] for row in run.rows.values()]
    best = ["best" in row[1].style for row in table.rows]
    assert best == [value == max(overall) for value in overall]


def test_if_nearly_all_classes_are_in_one_shot_group_the_note_has_thresholds_to_copy(run: EvaluatedRun) -> None:
    setting = "To split them into three groups, {} evaluation.shot_thresholds=[12,25]"
    assert result.section(run).note == ""
    narrow = {**run.metrics, "shot_thresholds": [1, 140]}
    note = result.section(replace(run, metrics=narrow)).note
    assert note == (
        "12 of the 13 classes with training images are medium-shot. "
        + setting.format(f"run: lptpp evaluate {run.folder}")
    )
    note = result.section(replace(run, metrics={**narrow, "evaluated_on": "/photos", "trained_on": 0})).note
    assert note.endswith(setting.format("evaluate again with"))


def test_the_balanced_table_is_there_where_it_was_measured(run: EvaluatedRun) -> None:
    rows = {
        name: {key: row[key] for key in ("overall", "many", "medium", "few")}
        for name, row in run.metrics["rows"].items()
    }
    balanced = {"images_per_class": 2, "classes": 40, "rows": rows}
    (table,) = result.balanced_table(replace(run, metrics={**run.metrics, "balanced": balanced}))
    assert list(table.headings) == ["", "Overall", "Many", "Medium", "Few"]
    assert [row[:2] for row in texts(table)] == [row[:2] for row in texts(result.shot_table(run))]
    assert re.findall(r"\d+", table.caption)[:2] == ["2", "40"]
    assert table.highlighted == result.shot_table(run).highlighted


def test_without_a_balanced_part_there_is_no_table(run: EvaluatedRun) -> None:
    empty = {"images_per_class": 500, "classes": 0, "rows": {}}
    without = [replace(run, metrics={**run.metrics, "balanced": balanced}) for balanced in (None, empty)]
    assert [result.balanced_table(one) for one in [run, *without]] == [[], [], []]
    assert ["500" in result.no_balanced_part(one) for one in [run, *without]] == [False, False, True]


def test_options_at_test_time_show_what_they_change(run: EvaluatedRun) -> None:
    (table,) = result.test_time_table(run)
    before, after = run.rows[MIXTURE], run.rows[ResultRow("mixture", views="five_crops")]
    assert texts(table)[0][:2] == ["LPT++, five crops", signed(after["overall"] - before["overall"])]
    assert result.test_time_table(replace(run, metrics={**run.metrics, "rows": {"mixture": before}})) == []


def test_the_summary_compares_with_the_best_of_all_rows(run: EvaluatedRun) -> None:
    rows = {name: {"overall": 50.0, "few": None} for name in run.metrics["rows"]}
    rows["visual.linear_probe"] = {"overall": 60.0, "few": None}
    text = result.summary(replace(run, metrics={**run.metrics, "rows": rows}))
    assert "overall 10.0 points below linear probe, visual (60.0%)" in text and "few-shot" not in text


@pytest.mark.parametrize(
    "values, numbers",
    [
        ((80.0, 50.0, 20.0), ["80.0", "15 images", "20.0", "18 images", "60.0"]),
        ((80.0, None, 20.0), ["80.0", "15 images", "20.0", "18 images", "60.0"]),
        ((None, 50.0, 20.0), ["50.0", "18 images", "20.0", "18 images"]),
        ((None, None, 20.0), ["20.0", "18 images"]),
    ],
)
def test_frequent_and_rare_classes_are_compared(values: tuple, numbers: list[str], run: EvaluatedRun) -> None:
    row = dict(zip(("many", "medium", "few"), values, strict=True))
    found = result.gap(replace(run, metrics={**run.metrics, "rows": {"mixture": row}}))
    assert re.findall(r"[+−]?[\d.]+\d(?: images)?", found) == numbers
    assert ("a gap of" in found) == (len(numbers) == 5)


def test_a_small_test_part_is_told_with_the_intervals_of_its_accuracies(run: EvaluatedRun) -> None:
    row = {"overall": 100 * 26 / 51, "few": 100 * 4 / 18}
    found = replace(run, metrics={**run.metrics, "rows": {"mixture": row}})  # 51 images, 18 of few-shot classes
    numbers = re.findall(r"[\d.]*\d", result.intervals(found))
    assert numbers == ["3", "95", "37.7", "64.1", "18", "9.0", "45.2"]
    without = replace(found, metrics={**run.metrics, "rows": {"mixture": {"overall": 50.0, "few": None}}})
    assert "few-shot" not in result.intervals(without)
    alike = replace(found, classes=replace(run.classes, shots=np.full(len(run.classes.names), "few")))
    assert "few-shot" not in result.intervals(alike)
    many = replace(run, classes=replace(run.classes, tested=np.full(len(run.classes.names), 50)))
    assert result.intervals(many) == ""
    assert result.section(run).intro == f"{result.summary(run)} {result.intervals(run)}"
    assert result.section(many).intro == result.summary(many)


def test_classes_without_images_are_named(run: EvaluatedRun) -> None:
    assert classes.accuracy(run).finding.endswith(": class 12.")
    whole = replace(run, classes=replace(run.classes, tested=np.ones(len(run.classes.names), dtype=int)))
    assert ":" not in classes.accuracy(whole).finding


def test_pairs_and_false_positives_are_counted(run: EvaluatedRun) -> None:
    labels, predicted = np.array([0, 0, 0, 1, 2, 2]), np.array([0, 1, 1, 0, 1, 2])
    pairs = texts(confusions.pairs(run, predicted, labels))
    assert pairs == [
        ["class 0", "class 1", "2", "22%"],  # of nine images
        ["class 1", "class 0", "1", "17%"],
        ["class 2", "class 1", "1", "20%"],
    ]
    assert texts(confusions.false_positives(run, predicted, labels)) == [
        ["class 1", "3", "0%"],
        ["class 0", "1", "50%"],
    ]
    assert confusions.pairs(run, predicted, labels).rows[0][0].style == "shot many"


def test_many_errors_toward_larger_classes_have_a_percentage(run: EvaluatedRun) -> None:
    found = confusions.direction(run, np.array([0, 5] * 10), np.array([3, 4] * 10))
    assert found.startswith(
        "Of 20 errors, 50% predict a class with more training images than the true class. Far above"
    )


@pytest.mark.parametrize(
    "errors, larger, subject",
    [
        (1, 1, "The only error predicts"),
        (1, 0, "The only error does not predict"),
        (2, 2, "Both errors predict"),
        (3, 3, "All 3 errors predict"),
        (3, 2, "2 of the 3 errors predict"),
        (3, 1, "1 of the 3 errors predicts"),
        (2, 0, "None of the 2 errors predicts"),
        (19, 10, "10 of the 19 errors predict"),
    ],
)
def test_few_errors_toward_larger_classes_are_counted(
    run: EvaluatedRun, errors: int, larger: int, subject: str
) -> None:
    predicted = np.array([0] * larger + [5] * (errors - larger))
    found = confusions.direction(run, predicted, np.full(errors, 3))
    assert found == f"{subject} a class with more training images than the true class."


@pytest.mark.parametrize(
    "never, weak, subject",
    [(1, 1, "It has"), (2, 2, "Both have"), (3, 3, "All 3 have"), (3, 1, "1 of these has"), (3, 2, "2 of these have")],
)
def test_classes_with_few_images_among_those_never_recognized(
    run: EvaluatedRun, never: int, weak: int, subject: str
) -> None:
    accuracy, tested = np.full(14, 50.0), np.full(14, 9)
    accuracy[:never], tested[:weak] = 0, 2
    of = replace(run, classes=replace(run.classes, accuracy={run.result: accuracy}, tested=tested))
    assert f"never recognized. {subject} only one or two images there, which" in classes.accuracy(of).finding


def test_a_single_class_is_told_in_the_singular(run: EvaluatedRun) -> None:
    accuracy = {run.result: np.array([0.0] + [np.nan] * 13)}
    alone = replace(run, classes=replace(run.classes, accuracy=accuracy))
    assert classes.accuracy(alone).finding.startswith("1 of the 1 class with images in the test split is never")


def test_the_matrix_has_the_share_of_each_true_class_up_to_50_classes(run: EvaluatedRun) -> None:
    labels, predicted = np.array([0, 0, 0, 1, 2, 2]), np.array([0, 1, 1, 0, 1, 2])
    plot = confusions.confusion_matrix(run, predicted, labels)
    shares = plot.figure.axes[0].images[0].get_array()  # the counts of the run fall from class to class
    expected = np.zeros((14, 14))
    for true, other in zip(labels, predicted, strict=True):
        expected[true, other] += 100 / (labels == true).sum()
    np.testing.assert_allclose(shares, expected)
    assert plot.finding.startswith("33.3")
    titles = [part.title for part in confusions.section(run).parts]
    assert titles[0] == "Confusion matrix"


def test_without_errors_there_is_no_section(run: EvaluatedRun) -> None:
    assert confusions.section(with_predictions(run, [1, 2], [1, 2], [0.5, 0.5])) is None


def test_rejection_keeps_confident_predictions(run: EvaluatedRun) -> None:
    found = texts(calibration.rejection(with_predictions(run, [0, 0, 0, 0], [0, 0, 1, 1], [0.95, 0.5, 0.6, 0.2])))
    by_limit = {row[0]: row[1:] for row in found}
    assert by_limit["0.00"] == ["100.0%", "4", "2", "50.0%", "15.0 to 85.0%"]
    assert by_limit["0.50"] == ["75.0%", "3", "1", "66.7%", "20.8 to 93.9%"]
    assert by_limit["0.95"] == ["25.0%", "1", "0", "100.0%", "20.7 to 100.0%"]
    none = texts(calibration.rejection(with_predictions(run, [0], [0], [0.2])))
    assert none[-1] == ["0.95", "0.0%", "0", "0", "–", "–"]


@pytest.mark.parametrize(
    "confidence, verdict",
    [
        (0.9, ": overconfident"),
        (0.2, ": underconfident"),
        (0.5, ": about right"),
        (0.505, ": about right"),
        (0.55, ": not clearly over- or underconfident on average."),
    ],
)
def test_the_mean_probability_is_compared_with_the_accuracy(confidence: float, verdict: str) -> None:
    assert verdict in calibration.confidence_verdict(np.full(200, confidence), np.array([True, False] * 100), 3.0)


def test_the_bars_of_the_diagram_are_the_share_that_is_right(run: EvaluatedRun) -> None:
    some = with_predictions(run, [0, 0, 0], [0, 1, 0], [0.61, 0.62, 0.99])
    above, below = calibration.reliability(some, MIXTURE).figure.axes
    bars = {round(bar.get_x() + bar.get_width() / 2, 4): bar.get_height() for bar in above.patches}
    assert bars == {round(9.5 / 15, 4): 50.0, round(14.5 / 15, 4): 100.0}
    assert [round(bar.get_height(), 2) for bar in below.patches] == [66.67, 33.33]


def test_the_loss_of_each_phase_has_a_line_for_each_expert(run: EvaluatedRun) -> None:
    *plots, time = learning.section(run).parts
    lines = [[(line.get_label(), list(line.get_ydata())) for line in plot.figure.axes[0].lines] for plot in plots]
    both = [("visual", [3.0, 1.5]), ("language", [3.0, 1.5])]
    assert lines == [both, both, [("mixture", [3.0, 1.5])]]
    assert re.findall(r"[\d.]*\d", plots[0].finding) == ["3.00", "1.50"] * 2
    assert texts(time) == [[stage, "2", "3.0"] for stage in learning.by_stage(run.history)]


@pytest.mark.parametrize(
    "parts, titles",
    [
        ({"classifier": 1}, ["classifier", "classifier"]),
        ({"backbone": 9, "classifier": 1}, ["backbone, classifier", "classifier"]),
        ({"adapters": 3, "classifier": 1}, ["adapters, classifier", "classifier"]),
        (
            {"shared prompts": 2, "group prompts": 4, "classifier": 1},
            ["shared prompts, classifier", "group prompts, keys, classifier"],
        ),
    ],
)
def test_a_phase_is_titled_by_what_the_method_trains(parts: dict[str, int], titles: list[str]) -> None:
    metrics = {"tuned_parts": {"visual": parts}}
    assert [learning.trained(metrics, phase) for phase in ("phase1", "phase2")] == titles


def test_what_validation_measured_is_drawn_under_the_loss(run: EvaluatedRun) -> None:
    rows = [
        {"epoch": "1", "loss": "2.0", "validation_overall": "30.0", "validation_mean_class": ""},
        {"epoch": "2", "loss": "1.0", "validation_overall": "40.0", "validation_mean_class": ""},
    ]
    axes = learning.curves("title", "caption", {"visual": rows, "language": rows[:1]}).figure.axes
    assert [ax.get_ylabel() for ax in axes] == ["training loss", "validation, %"]
    assert [line.get_xydata().tolist() for line in axes[1].lines] == [[[1, 30], [2, 40]], [[1, 30]]]


def test_without_a_history_there_is_a_note(run: EvaluatedRun) -> None:
    assert "history.csv" in learning.section(replace(run, history=[])).note
