"""Tables: CSV or parquet with a column of images (paths, or the bytes of image files) and a column of labels.

A path is relative to `data.root`, else to the folder of the table. A parquet column may also have structs of `bytes`
and `path`, as Hugging Face writes them. In messages, lines of a CSV file count from 1 including the header, as in
editors; rows of parquet count from 0, as in pandas.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lptpp.data.dataset import ImageDataset, Note
from lptpp.data.sources.columns import (
    IMAGE_COLUMNS,
    LABEL_COLUMNS,
    OTHER_IMAGE_COLUMNS,
    OTHER_SPLIT_COLUMNS,
    SPLIT_COLUMNS,
    has_usual,
    image_reference,
    pick_column,
)
from lptpp.data.sources.files import refuse_all_missing
from lptpp.data.sources.labeled_images import LabeledImages, build_dataset, by_split, concatenate
from lptpp.data.sources.labels import label_names, read_names
from lptpp.data.sources.locate import Locator
from lptpp.data.sources.one_hot import class_of, one_hot_columns
from lptpp.data.sources.table_reader import TableFile, open_table
from lptpp.data.split import split_of
from lptpp.utils.errors import UserError
from lptpp.utils.memory import bytes_to_gb
from lptpp.utils.paths import matching_files, resolve_path
from lptpp.utils.progress import progress_bar

NO_COLUMN = "none"  # setting to ignore a column named split


@dataclass(frozen=True)
class Columns:
    """The columns of a table that are read."""

    image: str
    labels: list[str]  # one, or one per class
    split: str | None
    notes: list[Note]  # on columns that could be the split column

    @property
    def names(self) -> list[str]:
        """All columns, in this order."""
        return [self.image, *self.labels, *([] if self.split is None else [self.split])]


@dataclass(frozen=True)
class ColumnSettings:
    """The column settings; None or an empty list to find a column by its usual names."""

    image: str | None
    label: str | None
    labels: list[str]  # one per class
    split: str | None  # NO_COLUMN to ignore it

    def of(self, file: TableFile) -> Columns:
        """Return the columns to read; raises UserError for a missing one."""
        where, header = str(file.path), file.header
        is_id = not has_usual(header, IMAGE_COLUMNS) and has_usual(header, OTHER_IMAGE_COLUMNS)
        usual = OTHER_IMAGE_COLUMNS if is_id else IMAGE_COLUMNS
        image = pick_column(header, self.image, usual, "data.image_column", where)
        labels = [pick_column(header, name, (), "data.label_columns", where) for name in self.labels]
        if not labels:
            _refuse_one_hot(file, self.label, image)
            labels = [pick_column(header, self.label, LABEL_COLUMNS, "data.label_column", where)]
        others = [name for name in header if name not in (image, *labels)]
        return Columns(image, labels, *self._split(file, others))

    def _split(self, file: TableFile, others: list[str]) -> tuple[str | None, list[Note]]:
        if self.split == NO_COLUMN:
            return None, []
        if self.split or has_usual(others, SPLIT_COLUMNS):
            return pick_column(file.header, self.split, SPLIT_COLUMNS, "data.split_column", str(file.path)), []
        first = {name: _first(file, name) for name in others if name.lower() in OTHER_SPLIT_COLUMNS}
        found = [name for name, value in first.items() if split_of(value)]
        notes = [Note("column_not_read", name, f"first value {value}") for name, value in first.items()]
        if not found:
            return None, notes
        return pick_column(found, None, OTHER_SPLIT_COLUMNS, "data.split_column", str(file.path)), []


def table(
    root: str | None,
    train_list: str,
    validation_list: str | None,
    test_list: str | None,
    image_column: str | None,
    label_column: str | None,
    split_column: str | None,
    class_names: str | None,
    test: float,
    split_seed: int,
    memory_gb: float,
    label_columns: Sequence[str] = (),
) -> ImageDataset:
    """Return the images of one table, divided by its column `split_column`, or of one table per split.

    Each list is a file or a glob pattern (`train-*.parquet`). A single table with a column named split is divided by it
    by default, and one with a column named set, fold or the like if its first value is the name of a split.
    `label_columns` are columns of 0 and 1, one for each class, in the order of the classes. Without a test split the
    share `test` of every class is drawn for it. Encoded images stay in memory, up to `memory_gb`.

    Raises:
        UserError: a file, a column or a label is missing or invalid, no listed image exists, or the images exceed
            `memory_gb`.
    """
    folder = Path(root or ".").expanduser()
    lists = {"train": train_list, "validation": validation_list, "test": test_list}
    files = {
        split: [open_table(path) for path in matching_files(name, folder)]
        for split, name in lists.items()
        if name is not None
    }
    if split_column not in (None, NO_COLUMN) and len(files) > 1:
        raise UserError("data.split_column needs a single table: remove data.validation_list and data.test_list.")
    if label_column is not None and label_columns:
        raise UserError("data.label_column and data.label_columns are both set: remove one.")
    wanted = ColumnSettings(
        image_column, label_column, list(label_columns), split_column if len(files) == 1 else NO_COLUMN
    )
    tables = [(split, file, wanted.of(file)) for split, found in files.items() for file in found]
    _refuse_large([(file, columns) for _, file, columns in tables], memory_gb)
    names = list(label_columns) or (None if class_names is None else read_names(resolve_path(class_names, folder)))
    rows = _read_all(tables, root, names is None)
    refuse_all_missing(pair for found in rows.values() for pair in zip(found.places, found.images, strict=True))
    notes = [note for _, _, columns in tables for note in columns.notes]
    return replace(build_dataset(rows, names, test, split_seed), notes=list(dict.fromkeys(notes)))


def _read_all(
    tables: list[tuple[str, TableFile, Columns]], root: str | None, as_names: bool
) -> dict[str, LabeledImages]:
    """Return the rows per split of tables, each given with the split of its rows without a split column."""
    found: dict[str, list[LabeledImages]] = {}
    with progress_bar("Reading tables", len(tables)) as bar:
        for split, file, columns in tables:
            folder = file.path.parent if root is None else Path(root).expanduser()
            rows, values = _read(file, columns, Locator(folder), as_names)
            for name, some in (by_split(rows, values) if values else {split: rows}).items():
                found.setdefault(name, []).append(some)
            bar.advance()
    return {split: concatenate(several) for split, several in found.items()}


def _read(file: TableFile, columns: Columns, locate: Locator, as_names: bool) -> tuple[LabeledImages, list[Any]]:
    """Return the rows of one table and the values of its split column, none without one."""
    rows, values = LabeledImages([], [], []), []
    classes = len(columns.labels)
    for place, (image, *cells) in file.rows(columns.names):
        rows.images.append(image_reference(image, place, locate))
        rows.labels.append(cells[0] if classes == 1 else class_of(cells[:classes], columns.labels, place))
        rows.places.append(place)
        values += cells[classes:]
    if not rows.places:
        raise UserError(f"{file.path} has no rows: expected one per image.")
    names = file.class_names(columns.labels[0]) if as_names else None
    return rows if names is None else replace(rows, labels=label_names(rows.labels, names)), values


def _first(file: TableFile, column: str) -> str:
    """Return the first value of a column."""
    return str(next(iter(file.rows([column])), ("", ("",)))[1][0])


def _refuse_one_hot(file: TableFile, label: str | None, image: str) -> None:
    """Raise UserError if a table without a label column has one column of 0 and 1 per class instead."""
    if label is not None or has_usual(file.header, LABEL_COLUMNS):
        return
    found = one_hot_columns(file, [name for name in file.header if name != image])
    if found:
        raise UserError(
            f"{file.path} has no label column, but columns of 0 and 1 with exactly one 1 in each row, as if there were"
            f" one column per class: set data.label_columns=[{','.join(found)}]."
        )


def _refuse_large(tables: list[tuple[TableFile, Columns]], memory_gb: float) -> None:
    size = bytes_to_gb(sum(file.size(columns.image) for file, columns in tables))
    if size > memory_gb:
        raise UserError(
            f"The images in {tables[0][0].path} (all tables together) take {size:.3g} GB, more than"
            f" data.memory_gb={memory_gb:g}: raise it, or use data.source=huggingface data.root=FOLDER, which reads"
            " images from disk."
        )
