"""What the command line prints of a run."""

from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from lptpp.console.tables import shot_table
from lptpp.data.statistics import suggested_thresholds
from lptpp.evaluation.balanced import describe_balanced
from lptpp.evaluation.files import read_rows
from lptpp.evaluation.intervals import untested
from lptpp.evaluation.table import BALANCED

EXAMPLES = 3


def show_result(console: Console, folder: Path, metrics: dict[str, Any]) -> None:
    """Print the shot tables, the share of tuned parameters, three predictions, and where the rest is.

    The table of the balanced part comes first where there is one.
    """
    _show_balanced(console, metrics)
    images, split = f"{metrics['images']:,}", metrics["split"]
    title = f"{metrics['method']}: accuracy in % on the {split} part ({images} images, seed {metrics['seed']})"
    console.print(shot_table(metrics["rows"], title, (metrics["shot_thresholds"][0], metrics["shot_thresholds"][1])))
    if message := untested(metrics):
        console.print(f"Classes without a picture in the {split} part: {message}.")
    _show_tuned(console, metrics)
    if len(metrics["backbones"]) > 1:
        _show_weights(console, metrics["scorer_weights"])
    console.print(f"Three predictions of {metrics['result']}:")
    for row in _examples(folder / "predictions.csv"):
        mark = "right" if row["true"] == row["label_1"] else f"wrong, it is {row['true']}"
        console.print(f"  {Path(row['image']).name}: {row['label_1']}, {float(row['probability_1']):.0%} sure ({mark})")
    console.print(f"Run folder: {folder} (metrics.json, per_class.csv, predictions.csv, confusion.csv, history.csv)")
    _suggest_thresholds(console, folder, metrics["rows"][metrics["result"]])
    console.print(f"Report: {folder / 'report.html'}")


def _show_balanced(console: Console, metrics: dict[str, Any]) -> None:
    if not (balanced := metrics.get("balanced")):  # off, or a run folder from before it was there
        return
    split = metrics["split"]
    message = describe_balanced(balanced, split)
    if not balanced["rows"]:
        console.print(message)
        return
    images = f"{balanced['pictures'] * balanced['classes']:,} images"
    title = f"{metrics['method']}: accuracy in % on the balanced {split} part ({images}, seed {metrics['seed']})"
    shot_thresholds = (metrics["shot_thresholds"][0], metrics["shot_thresholds"][1])
    console.print(shot_table(balanced["rows"], title, shot_thresholds, BALANCED, message))


def _suggest_thresholds(console: Console, folder: Path, result: dict[str, Any]) -> None:
    """Propose borders that part the classes where the present ones have all of them few-shot."""
    counts = np.array([int(row["training_images"]) for row in read_rows(folder / "per_class.csv")])
    shot_thresholds = suggested_thresholds(counts)
    if result["many"] is None and result["medium"] is None and shot_thresholds:
        command = f"lptpp evaluate {folder} evaluation.shot_thresholds=[{shot_thresholds[0]},{shot_thresholds[1]}]"
        console.print(f"All tested classes are few-shot by these borders; to part them: {command}")


def _show_tuned(console: Console, metrics: dict[str, Any]) -> None:
    tuned, frozen = metrics["tuned_parameters"], metrics["backbone_parameters"]
    without = metrics["tuned_share_without_classifiers_percent"]
    console.print(
        f"Tuned: {tuned:,} parameters beside {frozen:,} frozen ones, {metrics['tuned_share_percent']:.1f} %"
        f" ({without:.1f} % without the classifiers)."
    )


def _show_weights(console: Console, weights: dict[str, dict[str, float | None]]) -> None:
    message = [
        f"{shot} " + " / ".join(f"{name} {value:.2f}" for name, value in of_shot.items() if value is not None)
        for shot, of_shot in weights.items()
        if None not in of_shot.values()
    ]
    console.print(f"The scorer's mean weights: {'; '.join(message)}.")


def _examples(path: Path) -> list[dict[str, str]]:
    """Return three predictions spread over the file."""
    rows = read_rows(path)
    step = max(len(rows) // EXAMPLES, 1)
    return rows[step // 2 :: step][:EXAMPLES]
