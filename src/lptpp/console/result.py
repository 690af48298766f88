"""What the terminal shows after `fit` and `evaluate`, and after `predict`."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from lptpp.console.tables import cell, shot_table
from lptpp.evaluation.balanced import describe_balanced
from lptpp.evaluation.files import has_formulas, place, read_rows
from lptpp.evaluation.findings import findings, one_shot_group, precision, trained_on
from lptpp.evaluation.intervals import untested
from lptpp.evaluation.new_images import FOLDER
from lptpp.evaluation.parameters import parameters
from lptpp.evaluation.table import BALANCED, ResultRow
from lptpp.prediction.predict import Summary
from lptpp.prediction.resume import note
from lptpp.report.group_use import credits, unused
from lptpp.utils.paths import common_folder
from lptpp.utils.text import counted

EXAMPLES = 3
WORST = 5  # pairs and classes shown


def show_result(console: Console, folder: Path, metrics: dict[str, Any]) -> None:
    """Print the shot tables (balanced first), parameters, example predictions and the paths of the files."""
    _show_balanced(console, metrics)
    size = f"{counted(metrics['images'], 'image')}, seed {metrics['seed']}"
    title = f"{metrics['method']}: accuracy in % on {place(metrics)} ({size})"
    tested = metrics.get("tested")
    console.print(shot_table(metrics["rows"], title, metrics["shot_thresholds"], metrics["result"], tested=tested))
    if missing := untested(metrics):
        console.print(f"Classes without images in {place(metrics)}: {missing}.")
    console.print(f"Parameters: {parameters(metrics)}")
    if len(metrics["backbones"]) > 1:
        _show_weights(console, metrics["scorer_weights"])
    _show_groups(console, metrics["groups"])
    for sentence in (*precision(metrics), *findings(metrics)):
        console.print(sentence)
    show_examples(console, folder / "predictions.csv", metrics)
    show_errors(console, folder, metrics)
    console.print(f"Run folder: {folder} (metrics.json, per_class.csv, predictions.csv, confusion.csv, history.csv)")
    _suggest_thresholds(console, folder, folder, metrics)
    console.print(f"Report: {folder / 'report.html'}")


def show_new_images(console: Console, metrics: dict[str, Any], run: Path, on: Path) -> None:
    """Print the shot table of `lptpp evaluate RUN --on`, the images that the run was trained on, and the folder."""
    _show_balanced(console, metrics)
    size = f"{counted(metrics['images'], 'image')}, seed {metrics['seed']}"
    title = f"{metrics['method']}: accuracy in % on {on} ({size})"
    tested = metrics.get("tested")
    console.print(shot_table(metrics["rows"], title, metrics["shot_thresholds"], metrics["result"], tested=tested))
    if missing := untested(metrics):
        console.print(f"Classes without images in {on}: {missing}.")
    for sentence in (*trained_on(metrics, str(run)), *precision(metrics), *findings(metrics)):
        console.print(sentence)
    folder = run / FOLDER / metrics["split"]
    show_examples(console, folder / "predictions.csv", metrics)
    show_errors(console, folder, metrics)
    _suggest_thresholds(console, run, folder, metrics)
    console.print(f"Evaluation: {folder} (metrics.json, per_class.csv, predictions.csv, confusion.csv)")
    console.print(f"Report: {folder / 'report.html'}")


def _show_balanced(console: Console, metrics: dict[str, Any]) -> None:
    if not (balanced := metrics.get("balanced")):
        return
    description = describe_balanced(balanced, place(metrics))
    if not balanced["rows"]:
        console.print(description)
        return
    size = f"{counted(balanced['images_per_class'] * balanced['classes'], 'image')}, seed {metrics['seed']}"
    title = f"{metrics['method']}: accuracy in % on a balanced part of {place(metrics)} ({size})"
    tested = balanced.get("tested")
    thresholds, result = metrics["shot_thresholds"], metrics["result"]
    console.print(shot_table(balanced["rows"], title, thresholds, result, BALANCED, description, tested))


def _show_weights(console: Console, weights: dict[str, dict[str, float | None]]) -> None:
    shown = [
        f"{shot} " + " / ".join(f"{name} {value:.2f}" for name, value in of_shot.items())
        for shot, of_shot in weights.items()
        if None not in of_shot.values()
    ]
    console.print(f"Mean scorer weights: {'; '.join(shown)}")


def _show_groups(console: Console, groups: dict[str, Any]) -> None:
    for sentence in filter(None, (credits(groups), *unused(groups))):
        console.print(sentence)


def show_examples(console: Console, path: Path, metrics: Mapping[str, Any]) -> None:
    """Print three predictions: two wrong ones and a correct one if there are such, spread over the file."""
    rows, result = read_rows(path, has_formulas(metrics)), ResultRow.parse(metrics["result"])
    wrong = [row for row in rows if row["true"] != row["label_1"]]
    right = [row for row in rows if row["true"] == row["label_1"]]
    errors = _spread(wrong, max(EXAMPLES - 1, EXAMPLES - len(right)))
    console.print(f"Example predictions of {result.title} ({len(wrong):,} of {counted(len(rows), 'image')} wrong):")
    shown = [*errors, *_spread(right, EXAMPLES - len(errors))]
    below = common_folder(row["image"] for row in shown)
    for row in shown:
        verdict = "correct" if row["true"] == row["label_1"] else f"wrong, true class: {row['true']}"
        probability = float(row["probability_1"])
        console.print(f"  {_within(below, row['image'])}: {row['label_1']} ({probability:.0%}), {verdict}")


def _within(folder: str, path: str) -> str:
    return path.removeprefix(f"{folder}{os.sep}") if folder else path


def _spread(rows: Sequence[dict[str, str]], number: int) -> Sequence[dict[str, str]]:
    """Return up to `number` rows, evenly spread."""
    step = max(len(rows) // max(number, 1), 1)
    return rows[step // 2 :: step][:number]


def show_errors(console: Console, folder: Path, metrics: Mapping[str, Any]) -> None:
    """Print the most confused pairs of classes and the classes with the lowest accuracy, with their images."""
    formulas = has_formulas(metrics)
    pairs = [row for row in read_rows(folder / "confusion.csv", formulas) if row["true"] != row["predicted"]]
    if not pairs:
        return
    classes = read_rows(folder / "per_class.csv", formulas)
    tested = {row["class"]: int(row["tested_images"]) for row in classes}
    console.print(f"Most confused pairs{_of(pairs, 'confusion.csv')}:")
    for row in sorted(pairs, key=lambda row: -int(row["images"]))[:WORST]:
        images = f"{row['images']} of {counted(tested[row['true']], 'image')}"
        console.print(f"  {row['true']} mistaken for {row['predicted']}: {images}")
    accuracy = {row["class"]: float(row[metrics["result"]]) for row in classes if tested[row["class"]]}
    weak = sorted((name for name in accuracy if accuracy[name] < 100), key=lambda name: (accuracy[name], -tested[name]))
    console.print(f"Weakest classes{_of(weak, 'per_class.csv')}:")
    for name in weak[:WORST]:
        correct = round(accuracy[name] / 100 * tested[name])
        console.print(f"  {name}: {correct:,} of {counted(tested[name], 'image')} correct ({accuracy[name]:.0f}%)")


def _of(found: Sequence[object], file: str) -> str:
    """Return the number of all in parentheses, and their file, if only some of them are printed."""
    return f" ({WORST} of {len(found):,}; {file} lists all)" if len(found) > WORST else ""


def _suggest_thresholds(console: Console, run: Path, folder: Path, metrics: dict[str, Any]) -> None:
    """Suggest shot thresholds that yield three groups if the present ones put (nearly) all classes into one."""
    rows = read_rows(folder / "per_class.csv", has_formulas(metrics))
    counts = np.array([int(row["training_images"]) for row in rows])
    for sentence in one_shot_group(metrics, counts, run):
        console.print(sentence)


def show_predictions(console: Console, rows: Sequence[Mapping[str, Any]]) -> int:
    """Print the prediction of every image and its next best classes; return the number of unreadable images."""
    table = Table()
    for heading in ("Image", "Prediction", "Probability", "Next"):
        table.add_column(heading, justify="right" if heading == "Probability" else "left", overflow="fold")
    for row in rows:
        if row["error"] is not None:
            table.add_row(cell(row["image"]), cell(row["error"], "italic"), "", "")
            continue
        places = range(1, sum(key.startswith("label_") for key in row) + 1)
        (best, probability), *rest = [(row[f"label_{k}"], f"{row[f'probability_{k}']:.0%}") for k in places]
        shown = best if row["prediction"] is not None else f"uncertain, possibly {best}"
        table.add_row(cell(row["image"]), cell(shown), probability, cell(", ".join(map(" ".join, rest))))
    console.print(table)
    unreadable = sum(row["error"] is not None for row in rows)
    if uncertain := _uncertain(sum(row["error"] is None and row["prediction"] is None for row in rows)):
        console.print(f"{counted(len(rows), 'image')}, {uncertain}{unreadable:,} unreadable.")
    return unreadable


def show_summary(console: Console, summary: Summary, output: Path) -> None:
    """Print the least certain predictions and the first unreadable images of `predict`, and the number of each."""
    if summary.predicted:
        console.print("Least certain first:")
    for row in summary.predicted:
        best = f"{row['label_1']} ({row['probability_1']:.0%})"
        console.print(f"{row['image']}: {best if row['prediction'] is not None else f'uncertain, possibly {best}'}")
    _show_more(console, summary.rows - summary.unreadable - len(summary.predicted))
    for row in summary.failed:
        console.print(f"{row['image']}: {row['error']}")
    _show_more(console, summary.unreadable - len(summary.failed))
    console.print(
        f"{counted(summary.rows, 'image')}, {_uncertain(summary.uncertain)}{summary.unreadable:,} unreadable."
        f" Predictions: {output}"
        f" ({note(output).name} records model, inputs and options, so that a repeated command reuses them)"
    )


def _uncertain(number: int) -> str:
    """Return how many images have no prediction; nothing for none."""
    return f"{number:,} uncertain (below the threshold, the prediction is empty), " if number else ""


def _show_more(console: Console, number: int) -> None:
    if number:
        console.print(f"… and {number:,} more")
