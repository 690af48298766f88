"""Data sets in the format of Hugging Face's library datasets: saved ones, folders it understands, names at the hub.

Rows stay on the disk, which that library maps into memory; a picture is read when it is wanted. Rows count from 0.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lptpp.data.dataset import Collection
from lptpp.data.sources.columns import IMAGE_COLUMNS, LABEL_COLUMNS, pick, reference
from lptpp.data.sources.files import located
from lptpp.data.sources.labels import named, read_names
from lptpp.data.sources.rows import Rows, assembled
from lptpp.data.split import PARTS
from lptpp.utils.errors import UserError, did_you_mean
from lptpp.utils.extras import extra
from lptpp.utils.progress import console

log = logging.getLogger("lptpp")
SAVED = ("state.json", "dataset_dict.json")  # what save_to_disk leaves


@dataclass(frozen=True)
class Row:
    """The picture in one row of a data set that decodes nothing."""

    pictures: Any  # datasets.Dataset
    column: str
    number: int
    where: str

    def read_bytes(self) -> bytes:
        """Return the bytes of the image file; raises UserError if the row holds none."""
        found: Any = reference(self.pictures[self.number][self.column], "the row", Path())
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
) -> Collection:
    """Return a data set that the library datasets reads.

    `root` is a folder that save_to_disk wrote, a folder of parquet files or pictures, or a name at the hub
    (`owner/name`, or `owner/name:configuration`). The lists are names of splits; without any, train, val, valid,
    validation and test are taken. The columns are those of the types Image and ClassLabel; the latter's names are the
    class names unless the file `class_names` gives others. Without a test split the share `test` of every class
    becomes it.

    Raises:
        UserError: it cannot be read; a split, a column or a label is missing.
    """
    lists = {"train": train_list, "validation": validation_list, "test": test_list}
    names = None if class_names is None else read_names(located(class_names, Path(root)))
    parts = {
        part: _rows(dataset.with_format(None), image_column, label_column, names is None, where)
        for part, (dataset, where) in _parts(_loaded(root), lists, root).items()
    }
    return assembled(parts, names, test, split_seed)


def _loaded(root: str) -> dict[str, Any]:
    """Return the splits of a data set by name."""
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
            found = _from_hub(library, root)
    except UserError:
        raise
    except Exception as error:  # the library and those below it raise nearly anything
        reason = str(error).strip().split("\n")[0]
        raise UserError(
            f"{root} cannot be read as a Hugging Face data set ({type(error).__name__}: {reason}): check data.root, and"
            " for a name at the hub the network."
        ) from error
    return dict(found) if isinstance(found, dict) else {"train": found}


def _from_hub(library: Any, root: str) -> Any:
    name, _, configuration = root.partition(":")
    if name.startswith((".", "~", "/")) or name.count("/") > 1 or Path(name).suffix or Path(name).exists():
        raise UserError(
            f"{root} is not a folder: set data.root to one that save_to_disk wrote or that holds parquet files, or to a"
            " name at the hub such as owner/name."
        )
    log.info("There is no folder %s: asking the Hugging Face hub for a data set of this name.", root)
    return library.load_dataset(name, configuration or None)


def _parts(splits: dict[str, Any], lists: Mapping[str, str | None], root: str) -> dict[str, tuple[Any, str]]:
    """Return the split of every part and what to call it."""
    given = {part: name for part, name in lists.items() if name is not None}
    chosen = given or {PARTS.get(name.lower(), name): name for name in splits}
    for part, name in chosen.items():
        if name not in splits:
            raise UserError(f"{root} has no split {name!r}: {did_you_mean(name, splits)}")
        if part not in PARTS.values() or (not given and len(chosen) < len(splits)):
            raise UserError(
                f"{root} has the splits {', '.join(splits)}: say which to take, for example data.train_list=train"
                " data.test_list=test."
            )
    return {part: (splits[name], f"{root} {name}") for part, name in chosen.items()}


def _rows(dataset: Any, image_column: str | None, label_column: str | None, as_names: bool, where: str) -> Rows:
    library = extra("datasets", "datasets", "data.source=huggingface")
    features, header = dataset.features, list(dataset.features)
    pictures = [name.lower() for name in header if isinstance(features[name], library.Image)]
    classes = [name.lower() for name in header if isinstance(features[name], library.ClassLabel)]
    image = pick(header, image_column, pictures or IMAGE_COLUMNS, "data.image_column", where)
    label = pick(header, label_column, classes or LABEL_COLUMNS, "data.label_column", where)
    labels = dataset.select_columns([label])[:][label]
    if as_names and isinstance(features[label], library.ClassLabel):
        labels = named(labels, features[label].names)
    encoded = dataset.select_columns([image])
    if isinstance(features[image], library.Image):
        encoded = encoded.cast_column(image, library.Image(decode=False))
    rows = [Row(encoded, image, number, where) for number in range(len(dataset))]
    return Rows(list(rows), labels, [str(row) for row in rows])
