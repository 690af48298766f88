"""The oracle, which needs the true class, is the best of no table: in the terminal, of several runs, in the report."""

import json

from lptpp.console.tables import comparison_table, shot_table
from lptpp.evaluation.table import ResultRow
from lptpp.report.gather import gather
from lptpp.report.sections import result
from tests.evaluation.test_comparison import bold, metrics, run
from tests.report.made import make_run

ROWS = {"average": metrics(50), "oracle": metrics(70), "mixture": metrics(60)}


def test_in_the_terminal() -> None:
    assert bold(shot_table(ROWS, "title", (20, 100), "mixture"), 1) == [False, False, True]
    assert bold(comparison_table([run("runs/a", ROWS)]), 1) == [False, False, False, True]


def test_in_the_report(tmp_path) -> None:
    folder = make_run(tmp_path / "run", [40, 10, 3], extra_rows=[ResultRow("oracle")])
    path = folder / "metrics.json"
    content = json.loads(path.read_text())
    content["rows"]["oracle"] |= {"overall": 100.0}
    path.write_text(json.dumps(content))
    table = next(part for part in result.section(gather(folder)).parts if part.kind == "table")
    by_title = {cells[0].text.replace("\u00a0", " "): cells[1] for cells in table.rows}
    assert by_title["oracle: the correct expert"].text == "100.0"
    assert "best" not in by_title["oracle: the correct expert"].style
    assert any("best" in cell.style for cell in by_title.values())
