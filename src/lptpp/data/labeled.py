"""New labeled images for the classes of a run: a folder of class folders, a table, a list or a tar shard."""

import logging
import tempfile
import unicodedata
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from lptpp.config import DataSettings, Settings
from lptpp.data.dataset import ImageReference, Split
from lptpp.data.decode import Decoding
from lptpp.data.prepare import check_splits
from lptpp.data.sources import read_source
from lptpp.data.sources.class_names import read_mapping
from lptpp.data.sources.passed import PassedOver
from lptpp.data.sources.table import NO_COLUMN
from lptpp.data.sources.walk import has_images, loose_files, subfolders, walk
from lptpp.data.split import split_in
from lptpp.utils.errors import UserError, close_names
from lptpp.utils.io import write_text
from lptpp.utils.paths import refuse_other_places, refuse_unlabeled
from lptpp.utils.text import counted, listed

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
    renamed = _renamed(settings.data.class_names)
    with _of_new_images():
        split = _of_folder(path, class_names, renamed) if path.is_dir() else _of_file(path, class_names, settings)
        if not len(split) and path.is_dir():
            refuse_unlabeled(path)
        if not len(split):
            raise UserError(f"{path} has no labeled image.")
        return check_splits({"new": split}, settings, report, how)["new"]


@contextmanager
def _of_new_images() -> Iterator[None]:
    """Say in errors that they are about the new images, not about those of the run."""
    try:
        yield
    except UserError as error:
        raise error.within("--on") from error


def same_kind(path: Path, source: str) -> bool:
    """Return whether a file is of the kind that a source reads, so that its column settings apply."""
    found = SOURCES.get(path.suffix.lower())
    return found == source or (found in TABLES and source in TABLES)


def _renamed(names: str | None) -> dict[str, str]:
    """Return the class names by label of the table `data.class_names`; empty without one."""
    file = None if names is None else Path(names)
    return (read_mapping(file) or {}) if file is not None and file.is_file() else {}


def _of_folder(path: Path, class_names: list[str], renamed: Mapping[str, str]) -> Split:
    """Return the images of class folders; `renamed` are class names by the names of folders (data.class_names)."""
    label = {name: index for index, name in enumerate(class_names)}
    names = dict(_class_folders(path, label, renamed))
    _refuse_unknown([folder.name for folder, name in names.items() if name not in label], path, class_names)
    found = {folder: walk(folder) for folder in names}
    pairs: list[tuple[ImageReference, int]] = [
        (image, label[name]) for folder, name in names.items() for image in found[folder].images
    ]
    passed = [note for top in dict.fromkeys([path, *(one.parent for one in names)]) for note in loose_files(top)]
    passed += [note for one in found.values() for note in one.passed]
    if passed:
        log.warning("Ignored files in %s: %s", path, PassedOver.of(passed).within(str(path)))
    return Split([image for image, _ in pairs], np.array([number for _, number in pairs], np.int64))


def _class_folders(path: Path, known: Mapping[str, int], renamed: Mapping[str, str]) -> Iterator[tuple[Path, str]]:
    """Yield the class folders in a folder, or in folders in it that are called train, val, test and the like."""
    for folder in subfolders(path):
        name = _class_name(folder, known, renamed)
        is_split = name not in known and split_in(folder.name) is not None and not has_images(folder)
        yield from _class_folders(folder, known, renamed) if is_split else ((folder, name),)


def _class_name(folder: Path, known: Mapping[str, int], renamed: Mapping[str, str]) -> str:
    """Return the class of a folder; some sources write a space for an underscore."""
    name = unicodedata.normalize("NFC", folder.name)
    return name if name in known else renamed.get(name, name.replace("_", " "))


def _refuse_unknown(names: list[str], path: Path, class_names: list[str]) -> None:
    if names:
        unknown = sorted(set(names))
        raise UserError(
            f"{path} has {counted(len(unknown), 'class')} that the run does not have: {listed(unknown, 20)}."
            f"{close_names(unknown, class_names)} Rename or remove them; the {len(class_names):,} classes of the run"
            f" are {listed(class_names, 5)}."
        )


def _of_file(path: Path, class_names: list[str], settings: Settings) -> Split:
    refuse_other_places(path)
    source = SOURCES.get(path.suffix.lower())
    if source is None or not path.is_file():
        problem = "is of another kind" if path.is_file() else "does not exist"
        raise UserError(f"{path} {problem}; expected a folder of class folders, or a file {', '.join(SOURCES)}.")
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
