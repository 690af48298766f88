"""What a run folder knows, as arrays. Shapes: n evaluated images, C classes, m groups of prompts."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from lptpp.checkpoint.store import latest_checkpoint
from lptpp.config import Settings
from lptpp.data.dataset import Collection, Split
from lptpp.data.prepare import collection_of
from lptpp.evaluation.files import read_metrics, read_rows
from lptpp.inference.model import run_settings
from lptpp.utils.errors import UserError

Rows = list[dict[str, str]]


@dataclass(frozen=True)
class Classes:
    """The classes of a run, in its own order."""

    names: list[str]
    counts: np.ndarray  # (C,) training images
    shots: np.ndarray  # (C,) many, medium or few
    tested: np.ndarray  # (C,) evaluated images
    accuracy: dict[str, np.ndarray]  # (C,) by row of the shot table, percent, nan without an evaluated image


@dataclass(frozen=True)
class Predictions:
    """What was said of every image."""

    images: list[str]  # their paths, or what else they are called
    labels: np.ndarray  # (n,) true classes
    predicted: dict[str, np.ndarray]  # (n,) best class, by row of the shot table
    sure: dict[str, np.ndarray]  # (n,) its probability
    truth: np.ndarray | None  # (n,) the answer's probability of the true class; None in older run folders
    weights: dict[str, np.ndarray]  # (n,) the scorer's, by expert


@dataclass(frozen=True)
class Run:
    """A finished and evaluated run."""

    folder: Path
    settings: Settings
    metrics: dict[str, Any]
    classes: Classes
    predictions: Predictions
    groups: dict[str, np.ndarray] | None  # (C, m) images by expert, class and group; None in older run folders
    history: Rows
    versions: dict[str, str]
    evaluated: datetime
    pictures: Split | None  # that were evaluated, where they are still there
    picture_classes: list[str]  # what their labels stand for
    why_no_pictures: str = ""

    @property
    def result(self) -> str:
        """Name of the row that is the run's result."""
        return self.metrics["result"]

    @property
    def shot_thresholds(self) -> tuple[int, int]:
        """Return the training images of the smallest and of the largest medium-shot class."""
        low, high = self.metrics["shot_thresholds"]
        return low, high

    @property
    def finals(self) -> dict[str, str]:
        """Return the row of every expert as it is in the end, by its name."""
        both = {name: (f"{name}, phase 1", f"{name}, phase 2") for name in self.settings.experts}
        return {name: second if second in self.metrics["rows"] else first for name, (first, second) in both.items()}


def gather(folder: Path, collection: Collection | None = None) -> Run:
    """Return what a run folder holds; the pictures are those of `collection`, or of the run's settings.

    Raises `UserError` where it is not the folder of an evaluated run, or where a file is damaged.
    """
    try:
        return _gathered(folder, collection)
    except UserError:
        raise
    except (KeyError, ValueError, IndexError) as error:
        again = f"write them again with `lptpp evaluate {folder}`."
        raise UserError(f"The files in {folder} do not fit each other ({error!r}): {again}") from error


def _gathered(folder: Path, collection: Collection | None) -> Run:
    settings, metrics = run_settings(folder), read_metrics(folder)
    classes = _classes(read_rows(folder / "per_class.csv"), list(metrics["rows"]))
    checkpoint, history = latest_checkpoint(folder / "checkpoint"), folder / "history.csv"
    return Run(
        folder,
        settings,
        metrics,
        classes,
        _predictions(folder / "predictions.csv", classes.names, list(metrics["rows"]), list(settings.experts)),
        _groups(folder / "groups.csv", settings, classes.names),
        read_rows(history) if history.is_file() else [],
        {} if checkpoint is None else checkpoint.manifest["versions"],
        datetime.fromtimestamp((folder / "metrics.json").stat().st_mtime),
        *_pictures(settings, metrics["split"], collection),
    )


def _pictures(settings: Settings, part: str, collection: Collection | None) -> tuple[Split | None, list[str], str]:
    try:
        found = collection or collection_of(settings)
    except UserError as error:
        return None, [], str(error)
    return found.parts().get(part), found.class_names, f"the data hold no {part} part any more."


def _classes(rows: Rows, table_rows: Sequence[str]) -> Classes:
    return Classes(
        [row["class"] for row in rows],
        np.array([int(row["training_images"]) for row in rows]),
        np.array([row["shot"] for row in rows]),
        np.array([int(row["tested_images"]) for row in rows]),
        {name: np.array([float(row[name] or "nan") for row in rows]) for name in table_rows},
    )


def _predictions(path: Path, names: Sequence[str], table_rows: Sequence[str], experts: Sequence[str]) -> Predictions:
    rows, index = read_rows(path), {name: place for place, name in enumerate(names)}
    return Predictions(
        [row["image"] for row in rows],
        np.array([index[row["true"]] for row in rows]),
        {name: np.array([index[row[f"{name}: label"]] for row in rows]) for name in table_rows},
        {name: _numbers(rows, f"{name}: probability") for name in table_rows},
        _numbers(rows, "true_probability") if "true_probability" in rows[0] else None,
        {name: _numbers(rows, f"weight of {name}") for name in experts},
    )


def _numbers(rows: Rows, column: str) -> np.ndarray:
    return np.array([float(row[column]) for row in rows])


def _groups(path: Path, settings: Settings, names: Sequence[str]) -> dict[str, np.ndarray] | None:
    pools = {name: expert.num_groups for name, expert in settings.experts.items() if expert.group_prompts}
    if not pools:
        return {}
    if not path.is_file():
        return None
    index = {name: place for place, name in enumerate(names)}
    found = {name: np.zeros((len(names), num_groups), dtype=np.int64) for name, num_groups in pools.items()}
    for row in read_rows(path):
        found[row["expert"]][index[row["class"]], int(row["group"]) - 1] = int(row["images"])
    return found
