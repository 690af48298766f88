"""What the tables and sentences say, each against known truths."""

from dataclasses import replace

import numpy as np
import pytest

from lptpp.report.gather import Predictions, Run
from lptpp.report.sections import calibration as reliability
from lptpp.report.sections import classes, confusions, learning, result
from lptpp.report.sections import result as shots
from lptpp.report.text import counted, percent, shortened, signed


def with_predictions(run: Run, labels: list[int], predicted: list[int], sure: list[float]) -> Run:
    of = Predictions([], np.array(labels), {"LPT++": np.array(predicted)}, {"LPT++": np.array(sure)}, None, {})
    return replace(run, predictions=of)


def texts(table) -> list[list[str]]:
    return [[cell.text.replace("\u00a0", " ") for cell in row] for row in table.rows]


def test_the_shot_table_is_that_of_the_metrics(run: Run) -> None:
    table = result.shot_table(run)
    rows = {row[0]: row[1:] for row in texts(table)}
    assert list(rows) == list(run.metrics["rows"])
    assert rows["LPT++"][0] == f"{run.metrics['rows']['LPT++']['overall']:.1f}"
    assert table.rows[table.marked][0].text == "LPT++"
    overall = [row["overall"] for row in run.metrics["rows"].values()]
    marked = ["best" in row[1].look for row in table.rows]
    assert marked == [value == max(overall) for value in overall]


def test_the_balanced_table_is_there_where_it_was_measured(run: Run) -> None:
    rows = {
        name: {key: row[key] for key in ("overall", "many", "medium", "few")}
        for name, row in run.metrics["rows"].items()
    }
    balanced = {"pictures": 2, "classes": 40, "rows": rows}
    (table,) = result.balanced_table(replace(run, metrics={**run.metrics, "balanced": balanced}))
    assert list(table.headings) == ["", "Overall", "Many", "Medium", "Few"]
    assert [row[:2] for row in texts(table)] == [row[:2] for row in texts(result.shot_table(run))]
    assert table.reading.startswith("Balanced test part: 2 pictures of each of 40 classes, each class counts the same.")
    assert table.marked == result.shot_table(run).marked


def test_without_a_balanced_part_there_is_no_table(run: Run) -> None:
    empty = {"pictures": 500, "classes": 0, "rows": {}}
    without = [replace(run, metrics={**run.metrics, "balanced": balanced}) for balanced in (None, empty)]
    assert [result.balanced_table(one) for one in [run, *without]] == [[], [], []]
    assert [result.no_balanced(one)[:27] for one in [run, *without]] == ["", "", "No class has 500 pictures in"[:27]]


def test_options_at_test_time_show_what_they_change(run: Run) -> None:
    (table,) = result.test_time_table(run)
    before, after = run.metrics["rows"]["LPT++"], run.metrics["rows"]["LPT++, five_crops"]
    assert texts(table)[0][:2] == ["LPT++, five_crops", signed(after["overall"] - before["overall"])]
    assert result.test_time_table(replace(run, metrics={**run.metrics, "rows": {"LPT++": before}})) == []


def test_the_verdict_compares_with_the_best_expert(run: Run) -> None:
    rows = {name: {"overall": 50.0, "few": None} for name in run.metrics["rows"]}
    rows["language, phase 2"] = {"overall": 60.0, "few": None}
    messages = result.verdict(replace(run, metrics={**run.metrics, "rows": rows})).replace("\u00a0", " ")
    assert messages.endswith("Against its best expert, language, that is −10.0 points overall.")


@pytest.mark.parametrize(
    "values, told",
    [
        ((80.0, 50.0, 20.0), "80.0 % of many-shot and 20.0 % of few-shot images: +60.0 points."),
        ((None, 50.0, 20.0), "50.0 % of medium-shot and 20.0 % of few-shot images."),
        ((None, None, 20.0), "20.0 % of few-shot images."),
    ],
)
def test_frequent_and_rare_are_compared_where_both_are_there(values: tuple, messages: str, run: Run) -> None:
    row = dict(zip(("many", "medium", "few"), values, strict=True))
    found = shots.spread(replace(run, metrics={**run.metrics, "rows": {"LPT++": row}}))
    assert found.replace("\u00a0", " ") == f"LPT++ is right on {messages}"


def test_a_small_test_part_is_told_with_the_intervals_of_its_accuracies(run: Run) -> None:
    row = {"overall": 50.0, "few": 25.0}
    found = replace(run, metrics={**run.metrics, "rows": {"LPT++": row}})  # 51 images, 18 of few-shot classes
    assert result.trust(found).replace("\u00a0", " ") == (
        "This part is small, 3 images of a class on median: 50.0 % overall may be anything from 36.8 to 63.2 %,"
        " 25.0 % on the 18 images of few-shot classes may be anything from 10.7 to 48.1 % (95 % intervals by Wilson)."
    )
    without = replace(found, metrics={**run.metrics, "rows": {"LPT++": {"overall": 50.0, "few": None}}})
    assert "few-shot" not in result.trust(without)
    alike = replace(found, classes=replace(run.classes, shots=np.full(len(run.classes.names), "few")))
    assert "few-shot" not in result.trust(alike)
    many = replace(run, classes=replace(run.classes, tested=np.full(len(run.classes.names), 50)))
    assert result.trust(many) == ""
    assert result.section(run).intro == f"{result.verdict(run)} {result.trust(run)}"
    assert result.section(many).intro == result.verdict(many)


def test_classes_without_a_picture_are_named(run: Run) -> None:
    assert classes.accuracy(run).finding.endswith(" are never recognized. Without a picture there: class 12.")
    whole = replace(run, classes=replace(run.classes, tested=np.ones(len(run.classes.names), dtype=int)))
    assert "Without a picture" not in classes.accuracy(whole).finding


def test_pairs_and_takers_are_counted(run: Run) -> None:
    labels, predicted = np.array([0, 0, 0, 1, 2, 2]), np.array([0, 1, 1, 0, 1, 2])
    pairs = texts(confusions.pairs(run, predicted, labels))
    assert pairs == [
        ["class 0", "class 1", "2", "22 %"],  # of nine images
        ["class 1", "class 0", "1", "17 %"],
        ["class 2", "class 1", "1", "20 %"],
    ]
    assert texts(confusions.takers(run, predicted, labels)) == [["class 1", "3", "0 %"], ["class 0", "1", "50 %"]]
    assert confusions.pairs(run, predicted, labels).rows[0][0].look == "shot many"


def test_mistakes_towards_larger_classes_are_counted(run: Run) -> None:
    assert confusions.flow(run, np.array([0, 5]), np.array([3, 4])).startswith("50\u00a0% of the 2 mistakes")


def test_without_a_mistake_there_is_no_section(run: Run) -> None:
    assert confusions.section(with_predictions(run, [1, 2], [1, 2], [0.5, 0.5])) is None


def test_refusing_unsure_predictions_keeps_the_sure_ones(run: Run) -> None:
    found = texts(reliability.limits(with_predictions(run, [0, 0, 0, 0], [0, 0, 1, 1], [0.95, 0.5, 0.6, 0.2])))
    by_limit = {row[0]: row[1:] for row in found}
    assert by_limit["0.00"] == ["100.0 %", "50.0 %"]
    assert by_limit["0.50"] == ["75.0 %", "66.7 %"]
    assert by_limit["0.95"] == ["25.0 %", "100.0 %"]
    none = texts(reliability.limits(with_predictions(run, [0], [0], [0.2])))
    assert none[-1] == ["0.95", "0.0 %", "–"]


@pytest.mark.parametrize(
    "sure, verdict", [(0.9, "too sure"), (0.2, "not sure enough"), (0.5, "as it should be"), (0.505, "as it should be")]
)
def test_probabilities_are_judged_by_their_mean(sure: float, verdict: str) -> None:
    assert f": {verdict}." in reliability.messages(np.full(2, sure), np.array([True, False]), 3.0)


def test_the_bars_of_the_diagram_are_the_share_that_is_right(run: Run) -> None:
    some = with_predictions(run, [0, 0, 0], [0, 1, 0], [0.61, 0.62, 0.99])
    above, below = reliability.diagram(some, "LPT++").figure.axes
    bars = {round(bar.get_x() + bar.get_width() / 2, 4): bar.get_height() for bar in above.patches}
    assert bars == {round(9.5 / 15, 4): 50.0, round(14.5 / 15, 4): 100.0}
    assert [round(bar.get_height(), 2) for bar in below.patches] == [66.67, 33.33]


def test_the_loss_of_each_phase_has_a_line_for_each_expert(run: Run) -> None:
    *plates, time = learning.section(run).parts
    lines = [[(line.get_label(), list(line.get_ydata())) for line in plate.figure.axes[0].lines] for plate in plates]
    both = [("visual", [3.0, 1.5]), ("language", [3.0, 1.5])]
    assert lines == [both, both, [("mixture", [3.0, 1.5])]]
    assert plates[0].finding == "Loss, first to last epoch: visual: 3.00 to 1.50; language: 3.00 to 1.50."
    assert texts(time) == [[stage, "2", "3.0"] for stage in learning.by_stage(run.history)]


def test_what_validation_measured_is_drawn_under_the_loss(run: Run) -> None:
    rows = [
        {"epoch": "1", "loss": "2.0", "validation_overall": "30.0", "validation_mean_class": ""},
        {"epoch": "2", "loss": "1.0", "validation_overall": "40.0", "validation_mean_class": ""},
    ]
    axes = learning.curves("title", "reading", {"visual": rows, "language": rows[:1]}).figure.axes
    assert [ax.get_ylabel() for ax in axes] == ["training loss", "validation, %"]
    assert [line.get_xydata().tolist() for line in axes[1].lines] == [[[1, 30], [2, 40]], [[1, 30]]]


def test_without_a_history_there_is_a_sentence(run: Run) -> None:
    assert "no history.csv" in learning.section(replace(run, history=[])).note


@pytest.mark.parametrize(
    "value, decimals, told",
    [(12.34, 1, "12.3 %"), (0.3, 0, "<1 %"), (0.004, 2, "<0.01 %"), (0, 2, "0.00 %"), (None, 0, "–"), (np.nan, 0, "–")],
)
def test_percent(value: float | None, decimals: int, messages: str) -> None:
    assert percent(value, decimals) == messages.replace(" ", "\u00a0")


def test_words() -> None:
    assert (signed(-1.26), signed(2, 0), signed(0.0)) == ("−1.3", "+2", "+0.0")
    assert (counted(1, "image"), counted(1200, "image")) == ("1 image", "1,200 images")
    assert (shortened("abc", 3), shortened("ab cdef", 4), shortened("a\n\x07\u3000b", 9)) == ("abc", "ab…", "a � b")
