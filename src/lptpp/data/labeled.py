"""New labeled images for the classes of a run: a folder of class folders, a table, a list or a tar shard."""

import logging
import tempfile
import unicodedata
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from lptpp.config import DataSettings, Settings
from lptpp.data.dataset import ImageReference, Split
from lptpp.data.decode import Decoding
from lptpp.data.prepare import check_splits
from lptpp.data.sources import read_source
from lptpp.data.sources.table import NO_COLUMN
from lptpp.data.sources.walk import images_below
from lptpp.data.split import SPLIT_NAMES
from lptpp.utils.errors import UserError
from lptpp.utils.io import write_text
from lptpp.utils.text import listed

log = logging.getLogger("lptpp")
SOURCES = {
    ".csv": "csv",
    ".tsv": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".txt": "list",
    ".tar": "webdataset",
}  # by suffix
TABLES = ("csv", "parquet")
COLUMNS = ("image_column", "label_column")


def labeled_images(
    path: Path, class_names: list[str], settings: Settings, report: Path, how: Decoding | None = None
) -> Split:
    """Return every readable image with its label, whatever split it is in.

    The column settings are those of `settings.data`. With `data.on_error=skip`, unreadable images are listed in the CSV
    file `report`. `how` is how images are decoded, by default as the settings say.

    Raises:
        UserError: the path cannot be read, has no image or another class, or an image is unreadable.
    """
    split = _of_folder(path, class_names) if path.is_dir() else _of_file(path, class_names, settings)
    if not len(split):
        raise UserError(f"--on: {path} has no labeled image.")
    return check_splits({"labeled": split}, settings, report, how)["labeled"]


def same_kind(path: Path, source: str) -> bool:
    """Return whether a file is of the kind that a source reads, so that its column settings apply."""
    found = SOURCES.get(path.suffix.lower())
    return found == source or (found in TABLES and source in TABLES)


def _of_folder(path: Path, class_names: list[str]) -> Split:
    folders = list(_class_folders(path, class_names))
    label = {name: index for index, name in enumerate(class_names)}
    names = {folder: _class_name(folder, label) for folder in folders}
    _refuse_unknown([folder.name for folder, name in names.items() if name not in label], path, class_names)
    pairs: list[tuple[ImageReference, int]] = [
        (image, label[name]) for folder, name in names.items() for image in images_below(folder)
    ]
    _warn_of_loose(path)
    return Split([image for image, _ in pairs], np.array([number for _, number in pairs], np.int64))


def _class_folders(path: Path, class_names: list[str]) -> Iterator[Path]:
    """Yield the class folders in a folder, or in the folders train, val and test in it."""
    for folder in sorted(path.iterdir()):
        if folder.is_dir() and not folder.name.startswith("."):
            is_split = folder.name.lower() in SPLIT_NAMES and folder.name not in class_names
            yield from _class_folders(folder, class_names) if is_split else (folder,)


def _class_name(folder: Path, known: dict[str, int]) -> str:
    """Return the class of a folder; some sources write a space for an underscore."""
    name = unicodedata.normalize("NFC", folder.name)
    return name if name in known else name.replace("_", " ")


def _refuse_unknown(names: list[str], path: Path, class_names: list[str]) -> None:
    if names:
        raise UserError(
            f"--on: {path} has {len(names):,} class(es) that the run does not have: {listed(sorted(set(names)), 5)}."
            f" Rename or remove them; the {len(class_names):,} classes of the run are {listed(class_names, 5)}."
        )


def _warn_of_loose(path: Path) -> None:
    loose = [file.name for file in sorted(path.iterdir()) if file.is_file() and not file.name.startswith(".")]
    if loose:
        log.warning("%d file(s) in %s are in no class folder and are not evaluated (%s).", len(loose), path,
                    listed(loose, 3))  # fmt: skip


def _of_file(path: Path, class_names: list[str], settings: Settings) -> Split:
    source = SOURCES.get(path.suffix.lower())
    if source is None or not path.is_file():
        problem = "is of another kind" if path.is_file() else "does not exist"
        raise UserError(f"--on: {path} {problem}; expected a folder of class folders, or a file {', '.join(SOURCES)}.")
    data = settings.data
    columns = {key: getattr(data, key) for key in COLUMNS}
    root = str(path.parent) if data.root is None else data.root
    own = {"root": root, "train_list": str(path.absolute()), "memory_gb": data.memory_gb, "test": 0.0}
    arguments = asdict(DataSettings()) | own | columns | {"split_column": NO_COLUMN}
    for key in ("source", "validation"):
        arguments.pop(key)
    return _read(source, arguments, path, class_names)


def _read(source: str, arguments: dict, path: Path, class_names: list[str]) -> Split:
    """Read a table, a list or shards; their labels are class names, or count the classes of the run from 0."""
    if source != "list" and all(name.lstrip("-").isdecimal() for name in class_names):  # a number is a name
        found = read_source(source, 0.0, **arguments)
        _refuse_unknown([name for name in found.class_names if name not in class_names], path, class_names)
        return replace(found.train, labels=np.array([class_names.index(name) for name in found.class_names])[
            found.train.labels
        ])  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        names = Path(folder) / "classes of the run"
        write_text(names, "\n".join(class_names))
        return read_source(source, 0.0, **arguments | {"class_names": str(names)}).train
