"""Image folders: one subfolder per class, optionally below train/, val/ and test/.

Subfolders of a class folder belong to it. Hidden files and folders, and files whose suffix is not in `SUFFIXES` (in any
letter case), are passed over; the data set has a note on each.
"""

import unicodedata
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from lptpp.data.dataset import ImageDataset, Note, Split
from lptpp.data.files import concatenated
from lptpp.data.sources.labels import ambiguous_pair
from lptpp.data.sources.passed import PassedOver
from lptpp.data.sources.split_folders import find_splits
from lptpp.data.sources.walk import Found, loose_files, subfolders, walk
from lptpp.data.split import with_test_split
from lptpp.utils.errors import UserError
from lptpp.utils.paths import natural_key, refuse_no_folder
from lptpp.utils.progress import progress_bar
from lptpp.utils.text import listed

NOT_READ = "not_read"
METADATA = ("metadata.jsonl", "metadata.csv", "metadata.parquet")  # labels of an image folder of Hugging Face


def folder(root: str, test: float, split_seed: int, split_folders: str = "auto") -> ImageDataset:
    """Return the images below `root`; without a folder test/ the share `test` of every class is the test split.

    Classes are the folder names of all splits, in natural order. A class may have no folder in train/. With
    `split_folders="none"`, every folder in `root` is a class.

    Raises:
        UserError: the folder does not exist, its splits are unclear (see `lptpp.data.sources.split_folders`), there are
            fewer than two classes, a class folder has no image, or two class names differ only in letter case.
    """
    top = refuse_no_folder(root)
    places = {"train": top} if split_folders == "none" else find_splits(top)
    folders = {split: _class_folders(path, top) for split, path in places.items()}
    names = sorted({path.name for paths in folders.values() for path in paths}, key=natural_key)
    _refuse_ambiguous(names, root)
    _refuse_single(names, folders["train"])
    found = _found([path for paths in folders.values() for path in paths], top)
    _refuse_empty(found)
    splits = {split: _split(paths, found, names) for split, paths in folders.items()}
    composed = [unicodedata.normalize("NFC", name) for name in names]
    return replace(with_test_split(composed, splits, test, split_seed), notes=_notes(top, places, found))


def _found(folders: list[Path], top: Path) -> dict[Path, Found]:
    found = {}
    base = str(top / "_").removesuffix("_")
    with progress_bar("Listing folders", len(folders)) as bar:
        for path in folders:
            found[path] = walk(path, base)
            bar.advance()
    return found


def _notes(root: Path, places: Mapping[str, Path], found: Mapping[Path, Found]) -> list[Note]:
    """Return notes on the files that are passed over, and on the folders next to those of the splits."""
    passed = [note for top in dict.fromkeys([root, *places.values()]) for note in loose_files(top)]
    passed += [note for one in found.values() for note in one.passed]
    if root in places.values():
        return passed
    others = [path for path in subfolders(root) if path not in places.values()]
    return [*passed, *(Note(NOT_READ, str(path), f"{len(walk(path).images):,} images") for path in others)]


def _class_folders(split: Path, top: Path) -> list[Path]:
    folders = subfolders(split)
    if not folders:
        other = "or remove it" if split != top else "or predict them with a trained run (`lptpp predict`)"
        raise UserError(f"{split} has no class folders: put its images into one folder per class, {other}.")
    return folders


def _split(paths: list[Path], found: Mapping[Path, Found], names: list[str]) -> Split:
    label = {name: i for i, name in enumerate(names)}
    paths = sorted(paths, key=lambda path: label[path.name])
    sizes = [len(found[path].images) for path in paths]
    labels = np.repeat(np.array([label[path.name] for path in paths], np.int64), sizes)
    return Split(concatenated([found[path].images for path in paths]), labels)


def _refuse_empty(found: Mapping[Path, Found]) -> None:
    others = {path: PassedOver.of(one.passed).by_kind() for path, one in found.items() if not one.images}
    empty = [f"{path} ({files or 'empty'})" for path, files in others.items()]
    if empty:
        folders = f"the class folder{'' if len(empty) == 1 else 's'} {listed(empty, 5)}"
        raise UserError(f"There is no image in {folders}: add images or remove {'it' if len(empty) == 1 else 'them'}.")


def _refuse_single(names: list[str], folders: list[Path]) -> None:
    if len(names) > 1:
        return
    inside = [path.name for path in subfolders(folders[0])]
    deeper = f"; if its folders {listed(inside, 3)} are the classes, set data.root={folders[0]}"
    hint = deeper if len(inside) > 1 else _metadata_hint(folders[0])
    raise UserError(
        f"{folders[0].parent} has only one class folder ({names[0]}): expected at least two, one per class{hint}."
    )


def _metadata_hint(folder: Path) -> str:
    found = next((name for name in METADATA if (folder / name).is_file()), None)
    return f"; if {folder / found} has the labels, set data.source=huggingface" if found else ""


def _refuse_ambiguous(names: list[str], root: str) -> None:
    pair = ambiguous_pair(names)
    if pair is not None:
        raise UserError(
            f"{root}: the class folders {pair[0]!r} and {pair[1]!r} differ only in letter case or Unicode form; "
            "rename or merge them."
        )
