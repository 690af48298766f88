"""The contents of the files an evaluation writes, and how they are read back."""

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from lptpp.config import Settings
from lptpp.data.dataset import Split
from lptpp.data.statistics import SHOTS, shots
from lptpp.evaluation.groups import group_sets
from lptpp.evaluation.metrics import class_accuracy, confusion
from lptpp.evaluation.rankings import Evaluation
from lptpp.evaluation.table import ResultRow
from lptpp.utils.errors import UserError
from lptpp.utils.io import read_csv

METRICS = "metrics.json"
NAMES = "names_in_csv"  # key of metrics.json


def read_metrics(run: Path) -> dict[str, Any]:
    """Return the contents of metrics.json of a run folder.

    Raises:
        UserError: The file is missing, damaged, or of an older version.
    """
    path, fix = run / METRICS, f"run `lptpp evaluate {run}` to write it again."
    if not path.is_file():
        raise UserError(f"{path} does not exist: finish the run with `lptpp fit`, or specify another folder.")
    try:
        metrics = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is not valid JSON ({error}): {fix}") from error
    try:
        for key in (metrics["result"], *metrics["rows"]):
            ResultRow.parse(key)
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path} is damaged or was written by another version ({error}): {fix}") from error
    return metrics


@contextmanager
def consistent(folder: Path) -> Iterator[None]:
    """Raise `UserError` if what the block reads from the files of a run folder is missing, or of another kind."""
    try:
        yield
    except UserError:
        raise
    except (KeyError, ValueError, IndexError, TypeError, AttributeError, OverflowError) as error:
        fix = f"run `lptpp evaluate {folder}` to write them again."
        raise UserError(f"The files in {folder} are inconsistent ({error!r}): {fix}") from error


def place(metrics: Mapping[str, Any]) -> str:
    """Return what a metrics.json was measured on, in a sentence: "the test split", or the name of other images."""
    return f"the {metrics['split']} split" if "evaluated_on" not in metrics else Path(metrics["evaluated_on"]).name


def names_in(settings: Settings) -> str:
    """Return how names are written in the CSV files of an evaluation (`lptpp.utils.spreadsheet`)."""
    return "escaped" if settings.evaluation.escape_formulas else "exact"


def has_formulas(metrics: Mapping[str, Any]) -> bool:
    """Return whether the CSV files next to metrics.json have names that a spreadsheet takes for formulas."""
    return metrics[NAMES] == "exact"


def read_rows(path: Path, formulas: bool = False) -> list[dict[str, str]]:
    """Return the rows of a CSV file of a run folder, as text; `formulas` is whether it was written with them.

    Raises:
        UserError: The file is missing, empty or truncated.
    """
    fix = f"run `lptpp evaluate {path.parent}` to write it again."
    if not path.is_file():
        raise UserError(f"{path} does not exist: {fix}")
    try:
        rows = read_csv(path, formulas)
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path} cannot be read ({error}): {fix}") from error
    except ValueError:  # a row is shorter or longer than the header
        rows = []
    if not rows:
        raise UserError(f"{path} is empty or truncated: {fix}")
    return rows


CsvRow = dict[str, Any]


def class_rows(
    evaluation: Evaluation, class_names: Sequence[str], counts: np.ndarray, shot_thresholds: Sequence[int]
) -> Iterator[CsvRow]:
    """Yield one dictionary per class: name, training images, shot, test images, accuracy of every row."""
    accuracies = {
        str(row): class_accuracy(ranking.classes[:, 0], evaluation.labels, len(class_names))[0]
        for row, ranking in evaluation.rankings.items()
    }
    tested = np.bincount(evaluation.labels, minlength=len(class_names))
    for index, shot in enumerate(shots(counts, shot_thresholds)):
        yield {
            "class": class_names[index],
            "training_images": int(counts[index]),
            "shot": str(shot),
            "tested_images": int(tested[index]),
            **{key: "" if np.isnan(found[index]) else round(found[index], 2) for key, found in accuracies.items()},
        }


def prediction_rows(
    evaluation: Evaluation, split: Split, class_names: Sequence[str], experts: Sequence[str]
) -> Iterator[CsvRow]:
    """Yield one dictionary per image: true class, the result's classes, every row's prediction, scorer weights."""
    result = evaluation.rankings[evaluation.result]
    for index, label in enumerate(evaluation.labels):
        row: CsvRow = {"image": split.name(index), "true": class_names[label]}
        if evaluation.truth is not None:
            row["true_probability"] = round(float(evaluation.truth[index]), 6)
        row |= ranked(result.classes[index], result.probabilities[index], class_names)
        for key, ranking in evaluation.rankings.items():
            row[label_column(key)] = class_names[ranking.classes[index, 0]]
            row[probability_column(key)] = round(float(ranking.probabilities[index, 0]), 6)
        if evaluation.weights is not None:
            weights = zip(experts, evaluation.weights[index], strict=True)
            row |= {weight_column(name): round(float(weight), 6) for name, weight in weights}
        yield row


def label_column(row: ResultRow) -> str:
    """Return the column of predictions.csv with the predicted class of a row."""
    return f"{row}.label"


def probability_column(row: ResultRow) -> str:
    """Return the column of predictions.csv with the probability of the predicted class of a row."""
    return f"{row}.probability"


def weight_column(expert: str) -> str:
    """Return the column of predictions.csv with the scorer weight of an expert."""
    return f"{expert}.weight"


def ranked(classes: Sequence[int], probabilities: Sequence[float], class_names: Sequence[str]) -> CsvRow:
    """Return label_1, probability_1, label_2, … of one image."""
    row: CsvRow = {}
    for place, (index, probability) in enumerate(zip(classes, probabilities, strict=True), start=1):
        row |= {f"label_{place}": class_names[index], f"probability_{place}": round(float(probability), 6)}
    return row


def confusion_rows(evaluation: Evaluation, class_names: Sequence[str]) -> Iterator[CsvRow]:
    """Yield one dictionary per pair of true and predicted class that occurs: errors first, then the most frequent."""
    pairs = confusion(evaluation.rankings[evaluation.result].classes[:, 0], evaluation.labels)
    for true, predicted, count in sorted(pairs, key=lambda pair: pair[0] == pair[1]):
        yield {"true": class_names[true], "predicted": class_names[predicted], "images": count}


def group_rows(evaluation: Evaluation, class_names: Sequence[str]) -> Iterator[CsvRow]:
    """Yield the images of every expert, class and selected prompt group; groups are numbered from 1."""
    for expert, groups in evaluation.groups.items():  # (n, k)
        pairs = np.stack([evaluation.labels.repeat(groups.shape[1]), groups.ravel()], axis=1)
        found, images = np.unique(pairs, axis=0, return_counts=True)
        for (label, group), count in zip(found.tolist(), images.tolist(), strict=True):
            yield {"expert": expert, "class": class_names[label], "group": group + 1, "images": count}


def group_set_rows(evaluation: Evaluation) -> Iterator[CsvRow]:
    """Yield the images of every expert and distinct set of groups, such as "3 17", most used first."""
    for expert, groups in evaluation.groups.items():
        for chosen, images in zip(*group_sets(groups), strict=True):
            yield {"expert": expert, "groups": " ".join(str(group + 1) for group in chosen), "images": int(images)}


def mean_weights(
    evaluation: Evaluation, counts: np.ndarray, shot_thresholds: Sequence[int], experts: Sequence[str]
) -> dict[str, dict[str, float | None]]:
    """Return the mean scorer weight of every expert on the images of many-, medium- and few-shot classes."""
    of_image = shots(counts, shot_thresholds)[evaluation.labels]  # (n,)
    assert evaluation.weights is not None
    return {
        shot: {
            name: float(evaluation.weights[of_image == shot, place].mean()) if (of_image == shot).any() else None
            for place, name in enumerate(experts)
        }
        for shot in SHOTS
    }
