"""What the command line prints of a run and of a data set."""

import csv
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from lptpp.config import Settings
from lptpp.data.collection import Collection
from lptpp.data.pictures import check
from lptpp.data.statistics import summary
from lptpp.evaluation.tables import shot_table
from lptpp.prepare import collection_of, fault_progress

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


def show_data(console: Console, settings: Settings) -> bool:
    """Print a data set's class counts and imbalance, and every image that cannot be read; return whether all can."""
    collection = collection_of(settings)
    low, high = settings.evaluation.borders
    found = summary(collection, (low, high))
    console.print(_counts_table(found))
    parts = ", ".join(f"{part} {count:,}" for part, count in found["images"].items())
    console.print(f"{found['classes']} classes; images: {parts}")
    console.print(f"imbalance factor {found['imbalance_factor']:.1f}, Gini {found['gini']:.2f}; {found['borders']}")
    if found["without_training_images"]:
        console.print(f"Without a training image: {', '.join(found['without_training_images'])}")
    return _show_faults(console, collection, settings)


def _counts_table(found: dict[str, Any]) -> Table:
    table = Table(title="Training images of each class", title_justify="left")
    table.add_column("class")
    table.add_column("images", justify="right")
    table.add_column("")
    ranked = sorted(found["counts"].items(), key=lambda item: -item[1])
    for name, count in ranked:
        table.add_row(name, f"{count:,}", "█" * round(40 * count / max(ranked[0][1], 1)))
    return table


def _show_faults(console: Console, collection: Collection, settings: Settings) -> bool:
    parts = {name: part for name, part in collection.parts().items() if len(part)}
    with fault_progress(sum(len(part) for part in parts.values())) as advance:
        _, faults = check(parts, "skip", settings.data.largest_megapixels, advance)
    for name, reason in faults:
        console.print(f"{name}: {reason}")
    skips = settings.data.on_error == "skip"
    told = "fit leaves them out" if skips else "mend or remove them, or leave them out with data.on_error=skip"
    console.print(f"Images that cannot be used: {len(faults)}; {told}." if faults else "Every image can be read.")
    return skips or not faults
