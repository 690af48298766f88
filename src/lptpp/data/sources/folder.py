"""Image folders: one subfolder per class, optionally below train/, val/ and test/.

Subfolders of a class folder belong to it. Hidden files and folders, and files whose suffix is not in `SUFFIXES` (in any
letter case), are ignored.
"""

import unicodedata
from pathlib import Path

import numpy as np

from lptpp.data.dataset import ImageDataset, ImageReference, Split
from lptpp.data.sources.files import natural_key
from lptpp.data.sources.labels import ambiguous_pair
from lptpp.data.split import SPLIT_NAMES, with_test_split
from lptpp.utils.errors import UserError
from lptpp.utils.text import listed

LOSSY = (".jpg", ".jpeg", ".jpe", ".jfif", ".jp2", ".webp", ".avif", ".heic", ".heif", ".hif", ".tif", ".tiff")
LOSSLESS = (".png", ".apng", ".gif", ".bmp", ".dib", ".ppm", ".pgm", ".pbm", ".pnm", ".tga", ".ico", ".pcx")
SUFFIXES = LOSSY + LOSSLESS


def folder(root: str, test: float, split_seed: int) -> ImageDataset:
    """Return the images below `root`; without a folder test/ the share `test` of every class is the test split.

    Classes are the folder names of all splits, in natural order. A class may have no folder in train/.

    Raises:
        UserError: the folder does not exist, there are fewer than two classes, a class folder has no image, or two
            class names differ only in letter case.
    """
    split_folders = _split_folders(_existing(root))
    folders = {split: _class_folders(path) for split, path in split_folders.items()}
    names = sorted({path.name for paths in folders.values() for path in paths}, key=natural_key)
    _refuse_ambiguous(names, root)
    _refuse_single(names, root)
    images = {path: images_below(path) for paths in folders.values() for path in paths}
    _refuse_empty(images)
    splits = {split: _split(paths, images, names) for split, paths in folders.items()}
    return with_test_split([unicodedata.normalize("NFC", name) for name in names], splits, test, split_seed)


def images_below(path: Path) -> list[Path]:
    """Return the image files at any depth below a folder, without hidden ones, in natural order."""
    files = (file for file in path.rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file())
    visible = (file for file in files if not any(part.startswith(".") for part in file.relative_to(path).parts))
    return sorted(visible, key=lambda file: natural_key(str(file)))


def _existing(root: str) -> Path:
    path = Path(root).expanduser()
    if not path.is_dir():
        raise UserError(f"data.root: {root} is not a folder; expected the folder that contains the class folders.")
    return path


def _split_folders(root: Path) -> dict[str, Path]:
    """Return the folder of each split; without split folders, all of `root` is the training split."""
    found = [path for path in _subfolders(root) if path.name.lower() in SPLIT_NAMES]
    splits = {SPLIT_NAMES[path.name.lower()]: path for path in found}
    if len(splits) < len(found):
        raise UserError(f"{root} has more than one folder for the same split ({listed(found, 5)}): keep one.")
    if found and "train" not in splits:
        raise UserError(f"{root} has {listed(found, 5)} but no train: name the folder of training images train.")
    return splits or {"train": root}


def _class_folders(split: Path) -> list[Path]:
    folders = _subfolders(split)
    if not folders:
        raise UserError(f"{split} has no class folders: put its images into one folder per class, or remove it.")
    return folders


def _subfolders(path: Path) -> list[Path]:
    return sorted(child for child in path.iterdir() if child.is_dir() and not child.name.startswith("."))


def _split(paths: list[Path], images: dict[Path, list[Path]], names: list[str]) -> Split:
    label = {name: i for i, name in enumerate(names)}
    pairs = sorted(((label[path.name], file) for path in paths for file in images[path]), key=lambda pair: pair[0])
    references: list[ImageReference] = [file for _, file in pairs]
    return Split(references, np.array([number for number, _ in pairs], np.int64))


def _refuse_empty(images: dict[Path, list[Path]]) -> None:
    empty = [path for path, files in images.items() if not files]
    if empty:
        raise UserError(
            f"{len(empty)} class folder(s) contain no image: {listed(empty, 5)}. Add images or remove them."
        )


def _refuse_single(names: list[str], root: str) -> None:
    if len(names) < 2:
        raise UserError(f"{root} has only one class folder ({names[0]}): expected at least two, one per class.")


def _refuse_ambiguous(names: list[str], root: str) -> None:
    pair = ambiguous_pair(names)
    if pair is not None:
        raise UserError(
            f"{root}: the class folders {pair[0]!r} and {pair[1]!r} differ only in letter case or Unicode form; "
            "rename or merge them."
        )
