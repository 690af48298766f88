"""The evaluated images of a run and whether each is right, and which of them several runs have in common."""

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from math import isclose
from operator import and_
from pathlib import Path
from typing import Any

import numpy as np

from lptpp.checkpoint.record import SPLITS, read_record, record_digest
from lptpp.evaluation.files import METRICS, has_formulas, read_rows
from lptpp.utils.errors import UserError

Image = tuple[Hashable, str]  # the path as written or the digest of the content, and the true class


@dataclass(frozen=True)
class Answers:
    """The n evaluated images of a run, and whether the result is right on each, (n,) bool."""

    images: Sequence[Image]
    right: np.ndarray

    def sorted(self) -> "Answers":
        """Return the same in the order of the images."""
        order = sorted(range(len(self.images)), key=self.images.__getitem__)
        return Answers([self.images[i] for i in order], self.right[order])


def read_answers(folder: Path, metrics: Mapping[str, Any]) -> Answers | None:
    """Return the answers of a run by the paths of the images; None without predictions.csv.

    Raises:
        UserError: its predictions are not those that the metrics were measured on.
    """
    file = folder / "predictions.csv"
    if not file.is_file():
        return None
    rows = read_rows(file, has_formulas(metrics))
    right = np.array([row.get("true") == row.get("label_1") for row in rows])
    overall = metrics["rows"].get(metrics["result"], {}).get("overall", 0.0)
    if "true" not in rows[0] or not isclose(100 * right.mean(), overall):
        raise UserError(
            f"{file} has predictions of another model, or of other images, than {folder / METRICS}: run `lptpp evaluate"
            f" {folder}` to write both again."
        )
    return Answers([(row["image"], row["true"]) for row in rows], right)


def comparable_answers(runs: Sequence[tuple[Path, Mapping[str, Any]]]) -> tuple[list[Answers], bool] | None:
    """Return the answers of runs (folder, metrics), sorted, and whether equal images have equal keys in all of them.

    The keys are the paths if these are the same everywhere, else the digests of the contents, as the same images may be
    in another folder or written in another way. The second value is False if a run does not record the contents: then
    the keys are paths that differ. Returns None if a run has no predictions.
    """
    found = [read_answers(*run) for run in runs]
    answers = [one.sorted() for one in found if one is not None]
    if len(answers) < len(runs):
        return None
    if all(one.images == answers[0].images for one in answers):
        return answers, True
    whole = [_by_content(*run, one) for run, one in zip(runs, found, strict=True) if one is not None]
    known = [one.sorted() for one in whole if one is not None]
    return (known, True) if len(known) == len(runs) else (answers, False)


def not_in_all(answers: Sequence[Answers]) -> tuple[int, list[int]]:
    """Return how many images are in all runs, and how many others each run has; a repeated image counts repeatedly."""
    shared = reduce(and_, (Counter(one.images) for one in answers)).total()
    return shared, [len(one.images) - shared for one in answers]


def _by_content(folder: Path, metrics: Mapping[str, Any], answers: Answers) -> Answers | None:
    """Return the answers by the digests in the run's record, which has the images of a split in the same order."""
    root = folder / "checkpoint"
    try:
        record = read_record(root, record_digest(root))
        rows = record.used()
        digests = record.digests[rows[record.splits[rows] == SPLITS.index(metrics["split"])]]
    except (UserError, ValueError):  # without a record, or another kind of split
        return None
    if len(digests) != len(answers.images) or not digests.any(1).all():
        return None
    keys = (digest.tobytes() for digest in digests)
    return replace(answers, images=[(key, true) for key, (_, true) in zip(keys, answers.images, strict=True)])
