"""Hugging Face data sets: saved ones, folders that the library datasets can load, and names on the hub.

Rows stay on disk, memory-mapped by the library, and an image is read when it is needed. In messages, rows count from 0.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lptpp.data.dataset import ImageDataset
from lptpp.data.sources.columns import IMAGE_COLUMNS, LABEL_COLUMNS, image_reference, pick_column
from lptpp.data.sources.labeled_images import LabeledImages, build_dataset
from lptpp.data.sources.labels import label_names, read_names
from lptpp.data.sources.locate import Locator
from lptpp.data.split import SPLIT_WORDS, split_of
from lptpp.utils.errors import UserError, did_you_mean
from lptpp.utils.extras import extra
from lptpp.utils.paths import resolve_path
from lptpp.utils.progress import console

log = logging.getLogger("lptpp")
SAVED = ("state.json", "dataset_dict.json")  # files written by save_to_disk


@dataclass(frozen=True)
class DatasetRow:
    """The encoded image in one row of a data set."""

    rows: Any  # datasets.Dataset without decoding
    column: str
    number: int
    where: str
    stamp: tuple[int, int]  # size and time of the files of all rows (see `lptpp.data.content`)

    def read_bytes(self) -> bytes:
        """Return the bytes of the image file; raises ValueError if the row has none."""
        found: Any = image_reference(self.rows[self.number][self.column], "the row", Locator(Path()))
        return found.read_bytes()

    def __str__(self) -> str:
        return f"{self.where} row {self.number}"


def huggingface(
    root: str,
    train_list: str | None,
    validation_list: str | None,
    test_list: str | None,
    image_column: str | None,
    label_column: str | None,
    class_names: str | None,
    test: float,
    split_seed: int,
) -> ImageDataset:
    """Return a data set loaded by the library datasets.

    `root` is a folder written by save_to_disk, a folder of parquet files or images, or a name on the hub (`owner/name`
    or `owner/name:configuration`). The lists are names of splits; without any, train, val, valid, validation and test
    are used. The default columns are those of the types Image and ClassLabel; the names of the ClassLabel are the
    class names unless the file `class_names` gives others. Without a test split the share `test` of every class is
    drawn for it.

    Raises:
        UserError: the data set cannot be loaded, or a split, a column or a label is missing.
    """
    lists = {"train": train_list, "validation": validation_list, "test": test_list}
    names = None if class_names is None else read_names(resolve_path(class_names, Path(root)))
    rows = {
        split: _read(found.with_format(None), image_column, label_column, names is None, where)
        for split, (found, where) in _choose_splits(_load(root), lists, root).items()
    }
    return build_dataset(rows, names, test, split_seed)


def _load(root: str) -> dict[str, Any]:
    """Return the splits of a data set by their own names."""
    library = extra("datasets", "datasets", "data.source=huggingface")
    extra("huggingface_hub.utils.logging", "datasets", "data.source=huggingface").set_verbosity_error()
    if not console.is_terminal:
        library.disable_progress_bars()
    path = Path(root).expanduser()
    try:
        if any((path / name).is_file() for name in SAVED):
            found = library.load_from_disk(str(path))
        elif path.is_dir():
            found = library.load_dataset(str(path))
        else:
            found = _load_from_hub(library, root)
    except UserError:
        raise
    except Exception as error:  # the library and its dependencies raise nearly anything
        reason = str(error).strip().split("\n")[0]
        raise UserError(
            f"data.root: {root} cannot be loaded as a Hugging Face data set ({type(error).__name__}: {reason}); check"
            " the path, or for a name on the hub the network."
        ) from error
    return dict(found) if isinstance(found, dict) else {"train": found}


def _load_from_hub(library: Any, root: str) -> Any:
    name, _, configuration = root.partition(":")
    if name.startswith((".", "~", "/")) or name.count("/") > 1 or Path(name).suffix or Path(name).exists():
        raise UserError(
            f"data.root: {root} is not a folder; expected a folder written by save_to_disk or with parquet files, or a"
            " name on the hub such as owner/name."
        )
    log.info("The folder %s does not exist: loading the data set of this name from the Hugging Face hub.", root)
    return library.load_dataset(name, configuration or None)


def _choose_splits(splits: dict[str, Any], lists: Mapping[str, str | None], root: str) -> dict[str, tuple[Any, str]]:
    """Return the rows of train, validation and test, and the name of each in messages."""
    given = {split: name for split, name in lists.items() if name is not None}
    chosen = given or {split_of(name) or name: name for name in splits}
    for split, name in chosen.items():
        if name not in splits:
            raise UserError(f"{root} has no split {name!r}: {did_you_mean(name, splits)}")
        if split not in SPLIT_WORDS or (not given and len(chosen) < len(splits)):
            raise UserError(
                f"{root} has the splits {', '.join(splits)}: choose among them, for example data.train_list=train"
                " data.test_list=test."
            )
    return {split: (splits[name], f"{root} {name}") for split, name in chosen.items()}


def _read(rows: Any, image_column: str | None, label_column: str | None, as_names: bool, where: str) -> LabeledImages:
    library = extra("datasets", "datasets", "data.source=huggingface")
    features, header = rows.features, list(rows.features)
    images = [name.lower() for name in header if isinstance(features[name], library.Image)]
    classes = [name.lower() for name in header if isinstance(features[name], library.ClassLabel)]
    image = pick_column(header, image_column, images or IMAGE_COLUMNS, "data.image_column", where)
    label = pick_column(header, label_column, classes or LABEL_COLUMNS, "data.label_column", where)
    labels = rows.select_columns([label])[:][label]
    if as_names and isinstance(features[label], library.ClassLabel):
        labels = label_names(labels, features[label].names)
    encoded = rows.select_columns([image])
    if isinstance(features[image], library.Image):
        encoded = encoded.cast_column(image, library.Image(decode=False))
    stamp = _stamp(encoded, image)
    found = [DatasetRow(encoded, image, number, where, stamp) for number in range(len(rows))]
    return LabeledImages(list(found), labels, [str(row) for row in found])


def _stamp(rows: Any, column: str) -> tuple[int, int]:
    """Return the total size and the latest change of the files of a data set; (0, 0) if images lie outside of them."""
    cell = rows[0][column] if len(rows) else None
    inside = isinstance(cell, bytes) or (isinstance(cell, dict) and bool(cell.get("bytes")))
    files = [Path(one["filename"]).stat() for one in rows.cache_files] if inside else []
    return sum(file.st_size for file in files), max((file.st_mtime_ns for file in files), default=0)
