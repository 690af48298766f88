"""Warnings about a data set before training: at most one line per kind, with the details in a file."""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lptpp.data.dataset import ImageDataset, Note
from lptpp.data.repeats import Group, equal_files, images_of, is_across_classes, is_across_splits, repeated_paths
from lptpp.data.sources.passed import PassedOver
from lptpp.data.sources.walk import PASSED_OVER
from lptpp.data.spelling import is_code, is_no_label, similar_names
from lptpp.data.statistics import without_images
from lptpp.utils.disk import make_folder
from lptpp.utils.io import write_csv
from lptpp.utils.paths import common_folder, short_path
from lptpp.utils.text import listed, printable

FILE = "data_warnings.csv"
SHOWN_IMAGES, SHOWN_NAMES = 3, 8  # in a line
EQUAL = " = "  # between the images of a group
KINDS = {  # of notes, in the order of the lines
    PASSED_OVER: "Ignored files",
    "not_read": "Folders that are not read",
    "column_not_read": "Columns that are not read",
    "no_test_split": "No test split",
    "without_training": "Classes without a training image, which the model cannot learn",
    "without_validation": "Classes without a validation image",
    "without_test": "Classes without a test image, whose accuracy is unknown",
    "similar_names": "Classes that differ only in letter case, spaces, leading zeros or invisible characters",
    "coded_names": "Classes with numbers for names, which the text tower reads as text; data.class_names renames them",
    "no_label": "Classes whose name looks like a missing label",
    "listed_twice": "Images listed more than once in a split",
    "listed_across_splits": "Images listed in several splits, so that test accuracy may be overestimated",
    "listed_across_classes": "Images listed with several labels, of which at most one is correct",
    "equal_files": "Equal files in a split",
    "equal_across_splits": "Equal files in several splits, so that test accuracy may be overestimated",
    "equal_across_classes": "Equal files in several classes, of which at most one is correct",
}


@dataclass(frozen=True)
class DataWarning:
    """All that was found of one kind."""

    kind: str
    notes: Sequence[Note]

    def __str__(self) -> str:
        if self.kind == PASSED_OVER:
            top = common_folder(note.item for note in self.notes)
            where = f" in {short_path(top)}" if top else ""
            return f"{KINDS[self.kind]}{printable(where)}: {PassedOver.of(self.notes).within(top)}"
        of_images = self.kind.startswith(("listed", "equal"))
        top = common_folder(path for one in self.notes for path in one.item.split(EQUAL)) if of_images else ""
        items = [one.item.replace(f"{top}{os.sep}", "") if top else one.item for one in self.notes]
        texts = [f"{item} ({one.detail})" if one.detail else item for item, one in zip(items, self.notes, strict=True)]
        where = f", in {short_path(top)}" if top else ""
        shown = listed(texts, SHOWN_IMAGES if of_images else SHOWN_NAMES)
        return printable(f"{KINDS[self.kind]} ({len(texts):,}{where}): {shown}")


def data_warnings(dataset: ImageDataset, compare_files: bool = True, reads_names: bool = False) -> list[DataWarning]:
    """Return the warnings of a data set. No image is decoded.

    `compare_files`: also of files with equal content (reads those of equal size); `reads_names`: also of names that a
    text tower does not understand.
    """
    notes = [*dataset.notes, *_of_splits(dataset), *_of_names(dataset.class_names)]
    notes += [Note("coded_names", name) for name in dataset.class_names if reads_names and is_code(name)]
    notes += _of_groups("listed", repeated_paths(dataset), dataset.class_names)
    if compare_files:
        notes += _of_groups("equal", equal_files(dataset), dataset.class_names)
    found = [(kind, [note for note in notes if note.kind == kind]) for kind in KINDS]
    return [DataWarning(kind, some) for kind, some in found if some]


def write_warnings(path: Path, warnings: Iterable[DataWarning]) -> bool:
    """Write every note of the warnings as a line of a CSV file; without any, remove the file and return False."""
    rows = list(warning_rows(warnings))
    if rows:
        make_folder(path.parent)
        write_csv(path, rows)
    else:
        path.unlink(missing_ok=True)
    return bool(rows)


def details(folder: Path) -> str:
    """Return where `write_warnings` wrote the details, for the terminal."""
    return f"Details of these warnings: {folder / FILE}"


def warning_rows(warnings: Iterable[DataWarning]) -> Iterator[dict[str, Any]]:
    """Yield the kind, the item and the detail of every note."""
    for note in (note for warning in warnings for note in warning.notes):
        yield {"kind": note.kind, "item": printable(note.item), "detail": printable(note.detail)}


def _of_splits(dataset: ImageDataset) -> Iterator[Note]:
    names = dataset.class_names
    if dataset.test is None and dataset.counts().max() == 1:
        yield Note("no_test_split", "every class has one image, and the last image of a class is never drawn")
    for split, images in dataset.splits().items():
        kind = "without_training" if split == "train" else f"without_{split}"
        yield from (Note(kind, name) for name in without_images(images, names))


def _of_names(names: Sequence[str]) -> Iterator[Note]:
    for group in similar_names(names):
        yield Note("similar_names", " = ".join(map(repr, group)))
    yield from (Note("no_label", name) for name in names if is_no_label(name))


def _of_groups(prefix: str, groups: Iterable[Group], names: Sequence[str]) -> Iterator[Note]:
    """Yield a note on each group of repeats: across classes, across splits, or else within one split and class."""
    for group in groups:
        first = [f"{one.split}: {names[one.label]}" for one in group[:SHOWN_IMAGES]]
        where = listed(first, SHOWN_IMAGES, of=len(group))
        within = "listed_twice" if prefix == "listed" else "equal_files"
        kinds = [f"{prefix}_across_splits"] * is_across_splits(group)
        kinds += [f"{prefix}_across_classes"] * is_across_classes(group)
        images = listed(images_of(group), SHOWN_IMAGES, EQUAL)
        yield from (Note(kind, images, where) for kind in kinds or [within])
