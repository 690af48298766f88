"""The result: the shot table, and what options at test time change."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from lptpp.data.statistics import describe_shots
from lptpp.evaluation.balanced import describe_balanced
from lptpp.evaluation.intervals import few_tested, interval
from lptpp.evaluation.table import ACCURACIES, BALANCED, COLUMNS, MISSING, best_cells, known, one_decimal
from lptpp.report.gather import Run
from lptpp.report.section import Cell, Plate, Section, Table, number
from lptpp.report.style import COLORS, MARKS, PALE, SHOTS, panel
from lptpp.report.text import counted, percent, shortened, signed


def shot_plot(run: Run) -> Plate:
    """Draw the accuracy of every row on many-, medium- and few-shot classes."""
    rows = run.metrics["rows"]
    figure, ax = panel(height=1.0 + 0.27 * max(len(rows), 4))
    for place, row in enumerate(rows.values()):
        known = [row[shot] for shot in SHOTS if row[shot] is not None]
        ax.plot([min(known), max(known)], [place, place], color=PALE, linewidth=4, zorder=1)
    for shot in SHOTS:
        at = [(row[shot], place) for place, row in enumerate(rows.values()) if row[shot] is not None]
        if at:
            ax.plot(*zip(*at, strict=True), MARKS[shot], color=COLORS[shot], markersize=7, label=shot)
    ax.set(xlim=(-2, 102), ylim=(len(rows) - 0.5, -0.5), xlabel="accuracy, %")
    ax.set_yticks(range(len(rows)), [shortened(name, 24) for name in rows])
    for label, name in zip(ax.get_yticklabels(), rows, strict=True):
        label.set_fontweight("bold" if name == run.result else "normal")
    ax.grid(axis="y", visible=False)
    ax.tick_params(axis="y", length=0)
    figure.legend(loc="outside upper right", ncols=3)
    return Plate(figure, "Frequent against rare classes", spread(run), (
        "Each line is a row of the table; the nearer its ends, the less a class pays for being rare."
    ))  # fmt: skip


def spread(run: Run) -> str:
    """Return in a sentence how far apart the answer's accuracies on frequent and on rare classes are."""
    known = {shot: run.metrics["rows"][run.result][shot] for shot in SHOTS}
    known = {shot: value for shot, value in known.items() if value is not None}
    message = " and ".join(
        f"{percent(known[shot], 1)} of {shot}-shot" for shot in dict.fromkeys([*known][:1] + [*known][-1:])
    )
    difference = f": {signed(known['many'] - known['few'])} points" if {"many", "few"} <= known.keys() else ""
    return f"{run.result} is right on {message} images{difference}."


def section(run: Run) -> Section:
    """Return the part that holds the numbers."""
    message = " ".join(filter(None, (verdict(run), trust(run), no_balanced(run))))
    return Section(
        "The result", [*balanced_table(run), shot_table(run), shot_plot(run), *test_time_table(run)], message
    )


def verdict(run: Run) -> str:
    """Return in a sentence what was measured, and what the answer adds to the other rows."""
    rows, result = run.metrics["rows"], run.result
    of = f"{run.metrics['images']:,} pictures of the {run.metrics['split']} part"
    message = f"{result} names the right class for {percent(rows[result]['overall'], 1)} of the {of}."
    rivals = {name: rows[row] for name, row in run.finals.items() if row != result}
    if not rivals:
        return message
    best = max(rivals, key=lambda name: rivals[name]["overall"])
    differences = [
        f"{signed(rows[result][key] - rivals[best][key])} points {words}"
        for key, words in (("overall", "overall"), ("few", "on few-shot classes"))
        if known(rows[result][key])
    ]
    return f"{message} Against its best expert, {best}, that is {' and '.join(differences)}."


def trust(run: Run) -> str:
    """Return in a sentence how far the answer's accuracies can be trusted, nothing where they rest on many images."""
    tested = run.classes.tested
    if not few_tested(tested):
        return ""
    whole, few = int(tested.sum()), int(tested[run.classes.shots == "few"].sum())
    row = run.metrics["rows"][run.result]
    message = [
        f"{percent(row[key], 1)} {words} may be anything from {_interval(row[key], images)}"
        for key, words, images in (
            ("overall", "overall", whole),
            ("few", f"on the {counted(few, 'image')} of few-shot classes", few),
        )
        if known(row[key]) and (key == "overall" or images < whole)
    ]
    median = f"{np.median(tested[tested > 0]):g}"
    return f"This part is small, {median} images of a class on median: {', '.join(message)} (95 % intervals by Wilson)."


def _interval(accuracy: float, images: int) -> str:
    low, high = interval(accuracy, images)
    return f"{low:.1f} to {percent(high, 1)}"


def no_balanced(run: Run) -> str:
    """Return in a sentence that the balanced part that was asked for holds no picture, if that is so."""
    balanced = run.metrics.get("balanced")
    return describe_balanced(balanced, run.metrics["split"]) if balanced and not balanced["rows"] else ""


def balanced_table(run: Run) -> list[Table]:
    """Return the shot table of the balanced part, if there is one."""
    balanced = run.metrics.get("balanced")
    if not balanced or not balanced["rows"]:
        return []
    message = describe_balanced(balanced, run.metrics["split"])
    reading = f"{message.capitalize()}, each class counts the same. Accuracy in %."
    return [_table(run, "The shot table, balanced", balanced["rows"], BALANCED, reading)]


def shot_table(run: Run) -> Table:
    """Return the table that `lptpp evaluate` prints."""
    reading = "Accuracy in %; ECE is the expected calibration error, smaller is better."
    return _table(run, "The shot table", run.metrics["rows"], COLUMNS, reading)


def test_time_table(run: Run) -> list[Table]:
    """Return what each test-time row changes against the answer, if there are such rows."""
    rows, result = run.metrics["rows"], run.result
    changed = {name: row for name, row in rows.items() if name.startswith(f"{result}, ")}
    cells = [
        [_name(name), *(number(_change(row[key], rows[result][key])) for key in COLUMNS)]
        for name, row in changed.items()
    ]
    reading = f"What each option changes against {result}, in points."
    return [Table("Options at test time", ["", *COLUMNS.values()], cells, reading)] if cells else []


def _name(row: str) -> Cell:
    return Cell(row.replace("phase ", "phase\u00a0"))  # where it must break, then before


def _table(
    run: Run, title: str, rows: Mapping[str, Mapping[str, Any]], columns: Mapping[str, str], reading: str
) -> Table:
    best = best_cells(rows.values())
    cells = [[_name(name), *_metrics(row, best, columns)] for name, row in rows.items()]
    marks = "The marked row is the run's answer, bold the best of its column."
    reading = f"{reading} {marks} {describe_shots(run.shot_thresholds).capitalize()}."
    return Table(title, ["", *columns.values()], cells, reading, list(rows).index(run.result))


def _metrics(row: Mapping[str, Any], best: Mapping[str, str], columns: Mapping[str, str]) -> list[Cell]:
    printed = {key: one_decimal(row.get(key)) for key in columns}
    return [
        number(text, "best" if key in ACCURACIES and text == best.get(key) else "") for key, text in printed.items()
    ]


def _change(now: float | None, before: float | None) -> str:
    return signed(now - before) if now is not None and before is not None else MISSING
