"""The rows of the files that an evaluation leaves."""

import csv
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lptpp.data.dataset import Split
from lptpp.data.statistics import shots
from lptpp.evaluation.evaluate import Evaluation
from lptpp.evaluation.metrics import class_accuracy, confusion
from lptpp.utils.errors import UserError


def read_metrics(run: Path) -> dict[str, Any]:
    """Return what metrics.json of a run folder holds.

    Raises `UserError` where it is missing or damaged.
    """
    path = run / "metrics.json"
    if not path.is_file():
        raise UserError(f"{path} does not exist: finish the run with `lptpp fit`, or name another folder.")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{path} is not valid JSON ({error}): write it again with `lptpp evaluate {run}`.") from error


def read_rows(path: Path) -> list[dict[str, str]]:
    """Return the rows of a CSV file of a run folder, as text.

    Raises `UserError` where it is missing, empty or cut short.
    """
    again = f"write it again with `lptpp evaluate {path.parent}`."
    if not path.is_file():
        raise UserError(f"{path} does not exist: {again}")
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path} cannot be read ({error}): {again}") from error
    if not rows or any(None in row or None in row.values() for row in rows):
        raise UserError(f"{path} is empty or cut short: {again}")
    return rows


Row = dict[str, Any]


def class_rows(
    evaluation: Evaluation, class_names: Sequence[str], counts: np.ndarray, shot_thresholds: tuple[int, int]
) -> Iterator[Row]:
    """Yield one dictionary a class: name, training images, shot, test images, accuracy of every row."""
    accuracies = {
        name: class_accuracy(ranking.classes[:, 0], evaluation.labels, len(class_names))
        for name, ranking in evaluation.rankings.items()
    }
    tested = np.bincount(evaluation.labels, minlength=len(class_names))
    for index, shot in enumerate(shots(counts, shot_thresholds)):
        yield {
            "class": class_names[index],
            "training_images": int(counts[index]),
            "shot": str(shot),
            "tested_images": int(tested[index]),
            **{
                name: "" if np.isnan(found[0][index]) else round(found[0][index], 2)
                for name, found in accuracies.items()
            },
        }


def prediction_rows(
    evaluation: Evaluation, split: Split, class_names: Sequence[str], experts: Sequence[str]
) -> Iterator[Row]:
    """Yield one dictionary an image: true class, the answer's best classes, what each row said, the weights."""
    result = evaluation.rankings[evaluation.result]
    for index, label in enumerate(evaluation.labels):
        row: Row = {"image": split.name(index), "true": class_names[label]}
        if evaluation.truth is not None:
            row["true_probability"] = round(float(evaluation.truth[index]), 6)
        row |= ranked(result.classes[index], result.probabilities[index], class_names)
        for name, ranking in evaluation.rankings.items():
            row[f"{name}: label"] = class_names[ranking.classes[index, 0]]
            row[f"{name}: probability"] = round(float(ranking.probabilities[index, 0]), 6)
        if evaluation.weights is not None:
            row |= {
                f"weight of {n}": round(float(w), 6) for n, w in zip(experts, evaluation.weights[index], strict=True)
            }
        yield row


def ranked(classes: Sequence[int], probabilities: Sequence[float], class_names: Sequence[str]) -> Row:
    """Return label_1, probability_1, label_2, … of one image."""
    row: Row = {}
    for place, (index, probability) in enumerate(zip(classes, probabilities, strict=True), start=1):
        row |= {f"label_{place}": class_names[index], f"probability_{place}": round(float(probability), 6)}
    return row


def confusion_rows(evaluation: Evaluation, class_names: Sequence[str]) -> Iterator[Row]:
    """Yield one dictionary a pair of true and predicted class that occurs, most frequent first."""
    for true, predicted, count in confusion(evaluation.rankings[evaluation.result].classes[:, 0], evaluation.labels):
        yield {"true": class_names[true], "predicted": class_names[predicted], "images": count}


def group_rows(evaluation: Evaluation, class_names: Sequence[str]) -> Iterator[Row]:
    """Yield one dictionary for each expert, class and group of prompts that meet: groups count from 1."""
    for expert, groups in evaluation.groups.items():  # (n, k)
        pairs = np.stack([evaluation.labels.repeat(groups.shape[1]), groups.ravel()], axis=1)
        met, images = np.unique(pairs, axis=0, return_counts=True)
        for (label, group), count in zip(met.tolist(), images.tolist(), strict=True):
            yield {"expert": expert, "class": class_names[label], "group": group + 1, "images": count}


def mean_weights(
    evaluation: Evaluation, counts: np.ndarray, shot_thresholds: tuple[int, int], experts: Sequence[str]
) -> dict[str, dict[str, float | None]]:
    """Return the scorer's mean weight for each expert over the images of many, medium and few-shot classes."""
    groups = shots(counts, shot_thresholds)[evaluation.labels]
    assert evaluation.weights is not None
    return {
        shot: {
            name: float(evaluation.weights[groups == shot, position].mean()) if (groups == shot).any() else None
            for position, name in enumerate(experts)
        }
        for shot in ("many", "medium", "few")
    }
