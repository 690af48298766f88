"""The results: shot tables, their confidence intervals, and the effect of test-time options."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from lptpp.data.statistics import SHOTS, describe_shots
from lptpp.evaluation.balanced import describe_balanced
from lptpp.evaluation.findings import findings, one_shot_group, trained_on
from lptpp.evaluation.intervals import few_tested
from lptpp.evaluation.table import (
    ACCURACIES,
    BALANCED,
    COLUMNS,
    MISSING,
    ResultRow,
    best_cells,
    known,
    notes,
    one_decimal,
)
from lptpp.report.gather import EvaluatedRun
from lptpp.report.section import Cell, Plot, Section, Table, number
from lptpp.report.style import COLORS, MARKERS, PALE, panel
from lptpp.report.text import interval_text, percent, shortened, signed
from lptpp.utils.text import counted

LONGEST = 32  # characters of the title of a row in the figure


def section(run: EvaluatedRun) -> Section:
    """Return the section with the accuracies."""
    intro = " ".join(filter(None, (summary(run), intervals(run), no_balanced_part(run))))
    note = " ".join(one_shot_group(run.metrics, run.classes.counts, run.folder))
    return Section(
        "Results", [*balanced_table(run), shot_table(run), shot_plot(run), *test_time_table(run)], intro, note
    )


def summary(run: EvaluatedRun) -> str:
    """Return the accuracy of the result, how it compares with all other rows, and what else the rows show."""
    rows, result = run.rows, run.result
    evaluated = f"{counted(run.metrics['images'], 'image')} of {run.place}"
    text = f"{result.title} has an overall accuracy of {percent(rows[result]['overall'], 1)} on {evaluated}."
    return " ".join([text, *trained_on(run.metrics, run.folder.name), *findings(run.metrics)])


def intervals(run: EvaluatedRun) -> str:
    """Return the 95% intervals of the result's accuracies if the evaluated images are few, else nothing."""
    tested = run.classes.tested
    if not few_tested(tested):
        return ""
    whole, few = int(tested.sum()), int(tested[run.classes.shots == "few"].sum())
    row = run.rows[run.result]
    shown = [
        f"{what} {interval_text(row[key], images)}"
        for key, what, images in (
            ("overall", "overall", whole),
            ("few", f"few-shot ({counted(few, 'image')})", few),
        )
        if known(row[key]) and (key == "overall" or images < whole)
    ]
    median = f"{np.median(tested[tested > 0]):g}"
    return f"These images are few (median {median} per class); 95% intervals: {', '.join(shown)}."


def no_balanced_part(run: EvaluatedRun) -> str:
    """Return a sentence if a balanced part was requested but no class has enough images, else nothing."""
    balanced = run.metrics.get("balanced")
    return describe_balanced(balanced, run.place) if balanced and not balanced["rows"] else ""


def balanced_table(run: EvaluatedRun) -> list[Table]:
    """Return the shot table of the balanced part, if there is one."""
    balanced = run.metrics.get("balanced")
    if not balanced or not balanced["rows"]:
        return []
    description = describe_balanced(balanced, run.place)
    rows = {ResultRow.parse(key): row for key, row in balanced["rows"].items()}
    caption = f"{description[0].upper()}{description[1:]}. Accuracy in %."
    return [_table(run, "Shot table, balanced", rows, BALANCED, caption, balanced.get("tested"))]


def shot_table(run: EvaluatedRun) -> Table:
    """Return the table that `lptpp evaluate` prints."""
    caption = "Accuracy in %. ECE: expected calibration error in %, lower is better."
    return _table(run, "Shot table", run.rows, COLUMNS, caption, run.metrics.get("tested"))


def test_time_table(run: EvaluatedRun) -> list[Table]:
    """Return what each test-time option changes compared with the result, if any was evaluated."""
    rows, result = run.rows, run.result
    cells = [
        [_name(row), *(number(_change(metrics[key], rows[result][key])) for key in COLUMNS)]
        for row, metrics in rows.items()
        if row.plain == result != row
    ]
    caption = f"Change compared with {result.title}, in percentage points."
    return [Table("Test-time options", ["", *COLUMNS.values()], cells, caption)] if cells else []


def _name(row: ResultRow) -> Cell:
    return Cell(row.title.replace("phase ", "phase\u00a0"))  # no line break before the number


def _table(
    run: EvaluatedRun,
    title: str,
    rows: Mapping[ResultRow, Mapping[str, Any]],
    columns: Mapping[str, str],
    caption: str,
    tested: Mapping[str, Mapping[str, int]] | None,
) -> Table:
    best = best_cells(metrics for row, metrics in rows.items() if not row.is_bound)
    cells = [[_name(row), *_metrics(metrics, best, columns)] for row, metrics in rows.items()]
    legend = "The highlighted row is the result of the run; bold marks the best accuracy of a column."
    lines = [describe_shots(run.metrics["shot_thresholds"]), *notes(map(str, rows), columns, tested)]
    caption = " ".join([caption, legend, *(f"{line[0].upper()}{line[1:].rstrip('.')}." for line in lines)])
    headings, highlighted = ["", *columns.values()], list(rows).index(run.result)
    return Table(title, headings, cells, caption, highlighted)


def _metrics(row: Mapping[str, Any], best: Mapping[str, str], columns: Mapping[str, str]) -> list[Cell]:
    printed = {key: one_decimal(row.get(key)) for key in columns}
    return [
        number(text, "best" if key in ACCURACIES and text == best.get(key) else "") for key, text in printed.items()
    ]


def _change(now: float | None, before: float | None) -> str:
    return signed(now - before) if now is not None and before is not None else MISSING


def shot_plot(run: EvaluatedRun) -> Plot:
    """Draw the accuracy of every row on many-, medium- and few-shot classes."""
    rows = run.rows
    figure, ax = panel(height=1.0 + 0.27 * max(len(rows), 4))
    for place, metrics in enumerate(rows.values()):
        found = [metrics[shot] for shot in SHOTS if metrics[shot] is not None]
        ax.plot([min(found), max(found)], [place, place], color=PALE, linewidth=4, zorder=1)
    for shot in SHOTS:
        at = [(metrics[shot], place) for place, metrics in enumerate(rows.values()) if metrics[shot] is not None]
        if at:
            ax.plot(*zip(*at, strict=True), MARKERS[shot], color=COLORS[shot], markersize=7, label=shot)
    ax.set(xlim=(-2, 102), ylim=(len(rows) - 0.5, -0.5), xlabel="accuracy, %")
    ax.set_yticks(range(len(rows)), [shortened(row.title, LONGEST) for row in rows], fontsize=9)
    for label, row in zip(ax.get_yticklabels(), rows, strict=True):
        label.set_fontweight("bold" if row == run.result else "normal")
    ax.grid(axis="y", visible=False)
    ax.tick_params(axis="y", length=0)
    figure.legend(loc="outside upper right", ncols=3)
    caption = (
        "Each line is a row of the shot table, from its lowest to its highest accuracy. The shorter the line, the less"
        " accuracy depends on class frequency."
    )
    return Plot(figure, "Accuracy by class frequency", gap(run), caption)


def gap(run: EvaluatedRun) -> str:
    """Return the accuracies of the result on the most and the least frequent classes, and their difference."""
    metrics, of = run.rows[run.result], run.classes
    found = {shot: metrics[shot] for shot in SHOTS if metrics[shot] is not None}
    images = {shot: counted(int(of.tested[of.shots == shot].sum()), "image") for shot in found}
    ends = dict.fromkeys([*found][:1] + [*found][-1:])
    shown = " and ".join(f"{percent(found[shot], 1)} on {images[shot]} of {shot}-shot" for shot in ends)
    both = {"many", "few"} <= found.keys()
    difference = f", a gap of {one_decimal(abs(found['many'] - found['few']))} points" if both else ""
    return f"{run.result.title}: {shown} classes{difference}."
