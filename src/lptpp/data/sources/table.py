"""Tables: CSV or parquet with a column of pictures (paths, or the bytes of image files) and one of labels.

A path is relative to `data.root`, else to the table's folder. A parquet column may also hold structs of `bytes` and
`path`, as Hugging Face writes them. Lines of a CSV file count from 1 with its header, as editors show them, rows of
parquet from 0, as pandas does.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lptpp.data.dataset import Collection
from lptpp.data.sources.columns import IMAGE_COLUMNS, LABEL_COLUMNS, SPLIT_COLUMNS, pick, reference
from lptpp.data.sources.files import located, matching, refuse_all_missing
from lptpp.data.sources.labels import named, read_names
from lptpp.data.sources.rows import Rows, assembled, by_part, joined
from lptpp.data.sources.table_reader import TableFile, open_table
from lptpp.utils.errors import UserError
from lptpp.utils.progress import progress_bar

NO_COLUMN = "none"  # what a user writes to have a column called split passed over


@dataclass(frozen=True)
class Columns:
    """What the settings say of a table's columns; None where they are found by their usual names."""

    image: str | None
    label: str | None
    split: str | None  # NO_COLUMN where there is none

    def of(self, file: TableFile) -> list[str]:
        """Return the names of the two or three columns to read; raises UserError for one that is not there."""
        where, header = str(file.path), file.header
        columns = [
            pick(header, self.image, IMAGE_COLUMNS, "data.image_column", where),
            pick(header, self.label, LABEL_COLUMNS, "data.label_column", where),
        ]
        there = any(name.lower() in SPLIT_COLUMNS for name in header)
        if self.split != NO_COLUMN and (self.split or there):
            columns.append(pick(header, self.split, SPLIT_COLUMNS, "data.split_column", where))
        return columns


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
) -> Collection:
    """Return the pictures of one table, divided by its column `split_column`, or of a table for each part.

    Each list is a file or a pattern of files (`train-*.parquet`). A single table is divided by a column called split
    without being told. Without a test part the share `test` of every class becomes it. The bytes of pictures stay in
    memory, encoded, up to `memory_gb`.

    Raises:
        UserError: a file, a column or a label is missing or of the wrong kind; no picture is there; too many bytes.
    """
    folder = Path(root or ".").expanduser()
    lists = {"train": train_list, "validation": validation_list, "test": test_list}
    files = {part: [open_table(p) for p in matching(name, folder)] for part, name in lists.items() if name is not None}
    if split_column not in (None, NO_COLUMN) and len(files) > 1:
        raise UserError("data.split_column divides one table: leave data.validation_list and data.test_list out.")
    columns = Columns(image_column, label_column, split_column if len(files) == 1 else NO_COLUMN)
    listed = [(part, file) for part, tables in files.items() for file in tables]
    _refuse_large([file for _, file in listed], columns, memory_gb)
    names = None if class_names is None else read_names(located(class_names, folder))
    parts = _parts(listed, columns, root, names is None)
    refuse_all_missing(pair for rows in parts.values() for pair in zip(rows.places, rows.images, strict=True))
    return assembled(parts, names, test, split_seed)


def _parts(listed: list[tuple[str, TableFile]], columns: Columns, root: str | None, as_names: bool) -> dict[str, Rows]:
    """Return the rows of all tables, each given with its part, by part."""
    parts: dict[str, list[Rows]] = {}
    with progress_bar("Reading the tables", len(listed)) as bar:
        for part, file in listed:
            folder = file.path.parent if root is None else Path(root).expanduser()
            rows, splits = _rows(file, columns.of(file), folder, as_names)
            for name, some in (by_part(rows, splits) if splits else {part: rows}).items():
                parts.setdefault(name, []).append(some)
            bar.advance()
    return {part: joined(several) for part, several in parts.items()}


def _rows(file: TableFile, columns: list[str], folder: Path, as_names: bool) -> tuple[Rows, list[Any]]:
    """Return the rows of one table, and what its split column says, nothing without one."""
    rows, splits = Rows([], [], []), []
    for place, (picture, label, *split) in file.rows(columns):
        rows.images.append(reference(picture, place, folder))
        rows.labels.append(label)
        rows.places.append(place)
        splits += split
    if not rows.places:
        raise UserError(f"{file.path} holds no row: expected one for each picture.")
    names = file.class_names(columns[1]) if as_names else None
    return rows if names is None else replace(rows, labels=named(rows.labels, names)), splits


def _refuse_large(files: list[TableFile], columns: Columns, memory_gb: float) -> None:
    size = sum(file.size(columns.of(file)[0]) for file in files) / 2**30
    if size > memory_gb:
        raise UserError(
            f"The pictures in {files[0].path} and beside it take {size:.3g} GB, more than data.memory_gb={memory_gb:g}:"
            " raise it, or give data.source=huggingface data.root=FOLDER, which reads them from the disk."
        )
