"""Tables: CSV or parquet with a column of images (paths, or the bytes of image files) and a column of labels.

A path is relative to `data.root`, else to the folder of the table. A parquet column may also have structs of `bytes`
and `path`, as Hugging Face writes them. In messages, lines of a CSV file count from 1 including the header, as in
editors; rows of parquet count from 0, as in pandas.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lptpp.data.dataset import ImageDataset
from lptpp.data.sources.columns import IMAGE_COLUMNS, LABEL_COLUMNS, SPLIT_COLUMNS, image_reference, pick_column
from lptpp.data.sources.files import refuse_all_missing
from lptpp.data.sources.labeled_images import LabeledImages, build_dataset, by_split, concatenate
from lptpp.data.sources.labels import label_names, read_names
from lptpp.data.sources.table_reader import TableFile, open_table
from lptpp.utils.errors import UserError
from lptpp.utils.memory import bytes_to_gb
from lptpp.utils.paths import matching_files, resolve_path
from lptpp.utils.progress import progress_bar

NO_COLUMN = "none"  # setting to ignore a column named split


@dataclass(frozen=True)
class Columns:
    """The column settings; None to find a column by its usual names."""

    image: str | None
    label: str | None
    split: str | None  # NO_COLUMN to ignore it

    def of(self, file: TableFile) -> list[str]:
        """Return the names of the two or three columns to read; raises UserError for a missing one."""
        where, header = str(file.path), file.header
        columns = [
            pick_column(header, self.image, IMAGE_COLUMNS, "data.image_column", where),
            pick_column(header, self.label, LABEL_COLUMNS, "data.label_column", where),
        ]
        found = any(name.lower() in SPLIT_COLUMNS for name in header)
        if self.split != NO_COLUMN and (self.split or found):
            columns.append(pick_column(header, self.split, SPLIT_COLUMNS, "data.split_column", where))
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
) -> ImageDataset:
    """Return the images of one table, divided by its column `split_column`, or of one table per split.

    Each list is a file or a glob pattern (`train-*.parquet`). A single table with a column named split is divided by it
    by default. Without a test split the share `test` of every class is drawn for it. Encoded images stay in memory, up
    to `memory_gb`.

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
    columns = Columns(image_column, label_column, split_column if len(files) == 1 else NO_COLUMN)
    tables = [(split, file) for split, found in files.items() for file in found]
    _refuse_large([file for _, file in tables], columns, memory_gb)
    names = None if class_names is None else read_names(resolve_path(class_names, folder))
    rows = _read_all(tables, columns, root, names is None)
    refuse_all_missing(pair for found in rows.values() for pair in zip(found.places, found.images, strict=True))
    return build_dataset(rows, names, test, split_seed)


def _read_all(
    tables: list[tuple[str, TableFile]], columns: Columns, root: str | None, as_names: bool
) -> dict[str, LabeledImages]:
    """Return the rows per split of tables, each given with the split of its rows without a split column."""
    found: dict[str, list[LabeledImages]] = {}
    with progress_bar("Reading tables", len(tables)) as bar:
        for split, file in tables:
            folder = file.path.parent if root is None else Path(root).expanduser()
            rows, values = _read(file, columns.of(file), folder, as_names)
            for name, some in (by_split(rows, values) if values else {split: rows}).items():
                found.setdefault(name, []).append(some)
            bar.advance()
    return {split: concatenate(several) for split, several in found.items()}


def _read(file: TableFile, columns: list[str], folder: Path, as_names: bool) -> tuple[LabeledImages, list[Any]]:
    """Return the rows of one table and the values of its split column, none without one."""
    rows, values = LabeledImages([], [], []), []
    for place, (image, label, *split) in file.rows(columns):
        rows.images.append(image_reference(image, place, folder))
        rows.labels.append(label)
        rows.places.append(place)
        values += split
    if not rows.places:
        raise UserError(f"{file.path} has no rows: expected one per image.")
    names = file.class_names(columns[1]) if as_names else None
    return rows if names is None else replace(rows, labels=label_names(rows.labels, names)), values


def _refuse_large(files: list[TableFile], columns: Columns, memory_gb: float) -> None:
    size = bytes_to_gb(sum(file.size(columns.of(file)[0]) for file in files))
    if size > memory_gb:
        raise UserError(
            f"The images in {files[0].path} (all tables together) take {size:.3g} GB, more than"
            f" data.memory_gb={memory_gb:g}: raise it, or use data.source=huggingface data.root=FOLDER, which reads"
            " images from disk."
        )
