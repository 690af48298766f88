import io

import pytest
from rich.console import Console
from rich.table import Table

from lptpp.data.statistics import describe_borders
from lptpp.evaluation.tables import comparison_rows, comparison_table, shot_table

BORDERS = (20, 100)


def metrics(overall: float, few: float | None = 1.0) -> dict:
    return {
        "overall": overall,
        "many": 90.04,
        "medium": 50.0,
        "few": few,
        "mean_class": overall - 1,
        "calibration_error": 3.21,
    }


def run(rows: dict, **changes) -> dict:
    content = {
        "split": "test",
        "borders": [20, 100],
        "seed": 0,
        "method": "lptpp",
        "tuned_parameters": 1234567,
    }
    return {"rows": rows, "backbone_parameters": 86_000_000, **content, **changes}


def printed(table: Table) -> str:
    console = Console(width=250, file=io.StringIO(), record=True)
    console.print(table)
    return console.export_text()


def bold(table: Table, column: int) -> list[bool]:
    return [cell.style == "bold" for cell in table.columns[column].cells]


def headings(table: Table) -> list[str]:
    return [str(column.header) for column in table.columns]


def test_shot_table_prints_one_decimal_and_a_dash_for_none():
    table = shot_table({"mixture": metrics(61.26), "[expert] a": metrics(60.0, few=None)}, "Emoji [test]", BORDERS)
    text = printed(table)
    assert headings(table)[1:] == ["Overall", "Many", "Medium", "Few", "Mean class", "ECE"]
    assert [str(cell) for cell in table.columns[4].cells] == ["1.0", "–"]
    assert "61.3" in text and "[expert] a" in text and "Emoji [test]" in text
    assert " ".join(describe_borders(BORDERS).split()) in " ".join(text.split())


def test_the_best_accuracies_are_bold_ties_too_and_calibration_is_not():
    rows = {"a": metrics(61.2, few=None), "b": metrics(60.0), "c": metrics(61.2)}
    table = shot_table(rows, "title", BORDERS)
    assert bold(table, 1) == [True, False, True]
    assert bold(table, 4) == [False, True, True]
    assert bold(table, 6) == [False, False, False]


def test_comparison_has_a_line_for_every_row_of_every_run():
    runs = {
        "runs/a": run({"mixture": metrics(60), "clip": metrics(50)}),
        "runs/b": run({"vit": metrics(70)}, seed=1),
    }
    table = comparison_table(runs)
    cells = [[str(cell) for cell in column.cells] for column in table.columns]
    assert cells[0] == ["runs/a", "runs/a", "runs/b"]
    assert cells[1] == ["mixture", "clip", "vit"]
    assert cells[2] == ["60.0", "50.0", "70.0"]
    assert "Tuned parameters: runs/a 1,234,567; runs/b 1,234,567" in str(table.caption)
    assert bold(table, 2) == [False, False, True]
    assert "test split" in str(table.caption) and "seeds 0, 1" in str(table.caption)


@pytest.mark.parametrize(
    "change, words",
    [
        ({"split": "validation"}, "different splits (test, validation)"),
        ({"borders": [5, 50]}, "borders (20-100, 5-50)"),
    ],
)
def test_runs_on_other_splits_or_borders_are_told_apart(change, words):
    table = comparison_table({"a": run({"x": metrics(60)}), "b": run({"y": metrics(50)}, **change)})
    assert words in str(table.caption)
    assert bold(table, 2) == [False, False]


def test_comparison_rows_are_flat():
    rows = comparison_rows({"a": run({"x": metrics(60.0)})})
    place = {"run": "a", "row": "x", "method": "lptpp", "split": "test", "borders": "20-100", "seed": 0}
    sizes = {"tuned_parameters": 1234567, "backbone_parameters": 86_000_000}
    assert rows == [{**place, **sizes, **metrics(60.0)}]


def test_comparison_of_nothing_is_an_empty_table():
    assert comparison_table({}).row_count == 0


def test_runs_on_other_data_are_not_called_comparable():
    runs = {"a": run({"vit": metrics(60)}), "b": run({"vit": metrics(70)}) | {"classes": 7}}
    caption = str(comparison_table(runs).caption)
    assert "Not comparable: the runs have different data" in caption
    assert "7 classes" in caption
