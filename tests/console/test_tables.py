import io

from rich.console import Console
from rich.table import Table

from lptpp.console.tables import shot_table
from lptpp.data.statistics import describe_shots
from lptpp.evaluation.table import BALANCED

THRESHOLDS = (20, 100)


def metrics(overall: float, few: float | None = 1.0) -> dict:
    return {
        "overall": overall,
        "many": 90.04,
        "medium": 50.0,
        "few": few,
        "mean_class": overall - 1,
        "calibration_error": 3.21,
    }


def printed(table: Table) -> str:
    console = Console(width=250, file=io.StringIO(), record=True)
    console.print(table)
    return console.export_text()


def bold(table: Table, column: int) -> list[bool]:
    return [cell.style == "bold" for cell in table.columns[column].cells]


def headings(table: Table) -> list[str]:
    return [str(column.header) for column in table.columns]


def test_shot_table_prints_one_decimal_and_a_dash_for_none():
    rows = {"mixture": metrics(61.26), "mixture.prior=[b].csv": metrics(60.0, few=None)}
    table = shot_table(rows, "Emoji [test]", THRESHOLDS, "mixture")
    text = printed(table)
    assert headings(table)[1:] == ["Overall", "Many", "Medium", "Few", "Mean class", "ECE"]
    assert [str(cell) for cell in table.columns[4].cells] == ["1.0", "–"]
    assert "61.3" in text and "LPT++, prior [b].csv" in text and "Emoji [test]" in text
    assert " ".join(describe_shots(THRESHOLDS).split()) in " ".join(text.split())


def test_the_best_accuracies_are_bold_ties_too_and_calibration_is_not():
    rows = {"a.phase1": metrics(61.2, few=None), "b.phase1": metrics(60.0), "average": metrics(61.2)}
    table = shot_table(rows, "title", THRESHOLDS, "average")
    assert bold(table, 1) == [True, False, True]
    assert bold(table, 4) == [False, True, True]
    assert bold(table, 6) == [False, False, False]


def test_the_result_is_marked_among_other_rows_only():
    rows = {"visual.linear_probe": metrics(61.2), "visual.phase1": metrics(60.0)}
    table = shot_table(rows, "title", THRESHOLDS, "visual.phase1", BALANCED, "balanced part")
    assert [str(cell) for cell in table.columns[0].cells] == ["linear probe, visual", "▸ visual, phase 1"]
    assert str(table.caption).splitlines()[:2] == ["balanced part", "▸ result of the run"]
    with_calibration = shot_table(rows, "title", THRESHOLDS, "visual.phase1")
    legend = "▸ result of the run; ECE: expected calibration error in %, lower is better"
    assert str(with_calibration.caption).splitlines()[0] == legend
    alone = printed(shot_table({"visual.phase1": metrics(60.0)}, "title", THRESHOLDS, "visual.phase1"))
    assert "▸" not in alone and "ECE: expected" in alone
