"""What the command line prints of a run."""

import csv
from pathlib import Path
from typing import Any

from rich.console import Console

from lptpp.evaluation.tables import shot_table

EXAMPLES = 3


def show_result(console: Console, folder: Path, metrics: dict[str, Any]) -> None:
    """Print the shot table, the share of tuned parameters, three predictions, and where the rest is."""
    images, split = f"{metrics['images']:,}", metrics["split"]
    title = f"{metrics['method']}: accuracy in % on the {split} part ({images} images, seed {metrics['seed']})"
    console.print(shot_table(metrics["rows"], title, (metrics["borders"][0], metrics["borders"][1])))
    if metrics["classes_tested"] < metrics["classes"]:
        untested = metrics["classes"] - metrics["classes_tested"]
        console.print(f"Classes without a picture in the {split} part: {untested} of {metrics['classes']}.")
    _show_tuned(console, metrics)
    if len(metrics["backbones"]) > 1:
        _show_weights(console, metrics["scorer_weights"])
    console.print(f"Three predictions of {metrics['answer']}:")
    for row in _examples(folder / "predictions.csv"):
        mark = "right" if row["true"] == row["label_1"] else f"wrong, it is {row['true']}"
        console.print(f"  {Path(row['image']).name}: {row['label_1']}, {float(row['probability_1']):.0%} sure ({mark})")
    console.print(f"Run folder: {folder} (metrics.json, per_class.csv, predictions.csv, confusion.csv, history.csv)")
    console.print(f"Report: {folder / 'report.html'}")


def _show_tuned(console: Console, metrics: dict[str, Any]) -> None:
    tuned, frozen = metrics["tuned_parameters"], metrics["backbone_parameters"]
    without = metrics["tuned_share_without_classifiers_percent"]
    console.print(
        f"Tuned: {tuned:,} parameters beside {frozen:,} frozen ones, {metrics['tuned_share_percent']:.1f} %"
        f" ({without:.1f} % without the classifiers)."
    )


def _show_weights(console: Console, weights: dict[str, dict[str, float | None]]) -> None:
    told = [
        f"{shot} " + " / ".join(f"{name} {value:.2f}" for name, value in of_shot.items() if value is not None)
        for shot, of_shot in weights.items()
        if None not in of_shot.values()
    ]
    console.print(f"The scorer's mean weights: {'; '.join(told)}.")


def _examples(path: Path) -> list[dict[str, str]]:
    """Return three predictions spread over the file."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    step = max(len(rows) // EXAMPLES, 1)
    return rows[step // 2 :: step][:EXAMPLES]
