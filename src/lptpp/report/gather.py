"""The contents of a run folder as arrays. Shapes: n evaluated images, C classes, m prompt groups."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from lptpp.checkpoint.images import run_dataset
from lptpp.checkpoint.store import latest_checkpoint
from lptpp.config import Settings, run_settings
from lptpp.data.dataset import ImageDataset, Split
from lptpp.evaluation.files import (
    METRICS,
    consistent,
    has_formulas,
    label_column,
    place,
    probability_column,
    read_metrics,
    read_rows,
    weight_column,
)
from lptpp.evaluation.table import PHASES, ResultRow
from lptpp.utils.errors import UserError

CsvRows = list[dict[str, str]]


@dataclass(frozen=True)
class Classes:
    """The classes of a run, in the order of their labels."""

    names: list[str]
    counts: np.ndarray  # (C,) training images
    shots: np.ndarray  # (C,) many, medium or few
    tested: np.ndarray  # (C,) evaluated images
    accuracy: dict[ResultRow, np.ndarray]  # (C,) percent, nan without evaluated images


@dataclass(frozen=True)
class Predictions:
    """The predictions on every evaluated image."""

    images: list[str]  # their paths or names
    labels: np.ndarray  # (n,) true classes
    predicted: dict[ResultRow, np.ndarray]  # (n,) most probable class
    confidence: dict[ResultRow, np.ndarray]  # (n,) its probability
    truth: np.ndarray  # (n,) probability of the true class in the result row
    weights: dict[str, np.ndarray]  # (n,) scorer weight by expert


@dataclass(frozen=True)
class NewImages:
    """Labeled images that are not part of the data set of the run, and the folder of the files of their evaluation."""

    files: Path
    images: Split


@dataclass(frozen=True)
class EvaluatedRun:
    """A finished and evaluated run."""

    folder: Path  # of the run
    files: Path  # the folder of the evaluation's files: that of the run, or one of its evaluations of other images
    settings: Settings
    metrics: dict[str, Any]
    classes: Classes
    predictions: Predictions
    groups: dict[str, np.ndarray]  # (C, m) images by expert with group prompts, class and group
    group_use: dict[str, dict[str, Any]]  # by expert with group prompts, as in metrics.json
    history: CsvRows
    versions: dict[str, str]
    evaluated: datetime
    images: Split | None  # the evaluated split, if it can still be loaded
    image_classes: list[str]  # class names of its labels
    why_no_images: str = ""

    @property
    def rows(self) -> dict[ResultRow, dict[str, Any]]:
        """The shot table: metrics by row."""
        return {ResultRow.parse(key): row for key, row in self.metrics["rows"].items()}

    @property
    def result(self) -> ResultRow:
        """The row that is the run's result."""
        return ResultRow.parse(self.metrics["result"])

    @property
    def place(self) -> str:
        """What was evaluated: "the test split", or the name of other images."""
        return place(self.metrics)

    @property
    def finals(self) -> dict[str, ResultRow]:
        """The row of every expert after its last phase."""
        phases = {name: [ResultRow(phase, name) for phase in PHASES] for name in self.settings.experts}
        return {name: [row for row in of_expert if row in self.rows][-1] for name, of_expert in phases.items()}


def gather(folder: Path, collection: ImageDataset | None = None, new: NewImages | None = None) -> EvaluatedRun:
    """Read a run folder; images come from `collection` or from the data set in the run's settings.

    With `new`, the evaluation is that of other labeled images.

    Raises:
        UserError: The folder is not that of an evaluated run, or a file is missing or damaged.
    """
    with consistent(folder):
        return _gathered(folder, collection, new)


def _gathered(folder: Path, collection: ImageDataset | None, new: NewImages | None) -> EvaluatedRun:
    files = folder if new is None else new.files
    settings, metrics = run_settings(folder), read_metrics(files)
    table = [ResultRow.parse(key) for key in metrics["rows"]]
    classes = _classes(read_rows(files / "per_class.csv", has_formulas(metrics)), table)
    checkpoint, history = latest_checkpoint(folder / "checkpoint"), folder / "history.csv"
    return EvaluatedRun(
        folder,
        files,
        settings,
        metrics,
        classes,
        _predictions(
            read_rows(files / "predictions.csv", has_formulas(metrics)), classes.names, table, list(settings.experts)
        ),
        _groups(files / "groups.csv", settings, classes.names, has_formulas(metrics)),
        metrics["groups"],
        read_rows(history) if history.is_file() else [],
        {} if checkpoint is None else checkpoint.manifest["versions"],
        datetime.fromtimestamp((files / METRICS).stat().st_mtime),
        *(_images(settings, metrics["split"], collection) if new is None else (new.images, classes.names, "")),
    )


def _images(settings: Settings, split: str, collection: ImageDataset | None) -> tuple[Split | None, list[str], str]:
    try:
        found = collection or run_dataset(settings)
    except UserError as error:
        return None, [], str(error)
    return found.splits().get(split), found.class_names, f"the data set no longer has a {split} split."


def _classes(rows: CsvRows, table: Sequence[ResultRow]) -> Classes:
    return Classes(
        [row["class"] for row in rows],
        np.array([int(row["training_images"]) for row in rows]),
        np.array([row["shot"] for row in rows]),
        np.array([int(row["tested_images"]) for row in rows]),
        {key: np.array([float(row[str(key)] or "nan") for row in rows]) for key in table},
    )


def _predictions(
    rows: CsvRows, names: Sequence[str], table: Sequence[ResultRow], experts: Sequence[str]
) -> Predictions:
    index = {name: place for place, name in enumerate(names)}
    return Predictions(
        [row["image"] for row in rows],
        np.array([index[row["true"]] for row in rows]),
        {key: np.array([index[row[label_column(key)]] for row in rows]) for key in table},
        {key: _numbers(rows, probability_column(key)) for key in table},
        _numbers(rows, "true_probability"),
        {name: _numbers(rows, weight_column(name)) for name in experts},
    )


def _numbers(rows: CsvRows, column: str) -> np.ndarray:
    return np.array([float(row[column]) for row in rows])


def _groups(path: Path, settings: Settings, names: Sequence[str], formulas: bool) -> dict[str, np.ndarray]:
    numbers = {name: expert.num_groups for name, expert in settings.experts.items() if expert.group_prompts}
    index = {name: place for place, name in enumerate(names)}
    found = {name: np.zeros((len(names), number), dtype=np.int64) for name, number in numbers.items()}
    for row in read_rows(path, formulas) if found else ():
        found[row["expert"]][index[row["class"]], int(row["group"]) - 1] = int(row["images"])
    return found
