"""A folder of images: one sub-folder a class, with or without train/, val/ and test/ above them.

Sub-folders of a class folder count as part of it. Hidden files and folders are passed over, and so is every
file whose suffix is not one of `SUFFIXES` (in any letter case).
"""

import unicodedata
from pathlib import Path

import numpy as np

from lptpp.data.dataset import Collection, ImageReference, Split
from lptpp.data.sources.files import natural
from lptpp.data.sources.labels import twins
from lptpp.data.split import PARTS, draw_part
from lptpp.utils.errors import UserError
from lptpp.utils.text import listed

PHOTOGRAPHS = (".jpg", ".jpeg", ".jpe", ".jfif", ".jp2", ".webp", ".avif", ".tif", ".tiff")
DRAWINGS = (".png", ".apng", ".gif", ".bmp", ".dib", ".ppm", ".pgm", ".pbm", ".pnm", ".tga", ".ico", ".pcx")
SUFFIXES = PHOTOGRAPHS + DRAWINGS


def folder(root: str, test: float, split_seed: int) -> Collection:
    """Return the images below `root`; without a folder test/ the share `test` of each class is the test part.

    Classes are the folder names of all parts together, in natural order. A class may lack a folder in train/.

    Raises:
        UserError: no such folder, fewer than two classes, an empty class folder, two names for one class.
    """
    parts = _part_folders(_existing(root))
    folders = {part: _class_folders(path) for part, path in parts.items()}
    names = sorted({path.name for part in folders.values() for path in part}, key=natural)
    _refuse_twins(names, root)
    _refuse_few(names, root)
    images = {path: images_below(path) for part in folders.values() for path in part}
    _refuse_empty(images)
    splits = {part: _split(paths, images, names) for part, paths in folders.items()}
    class_names = [unicodedata.normalize("NFC", name) for name in names]
    collection = Collection(class_names, splits["train"], splits.get("validation"), splits.get("test"))
    return collection if "test" in splits else draw_part(collection, "test", test, split_seed)


def images_below(path: Path) -> list[Path]:
    """Return the image files at any depth below a folder, hidden ones left out, in natural order."""
    files = (file for file in path.rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file())
    visible = (file for file in files if not any(part.startswith(".") for part in file.relative_to(path).parts))
    return sorted(visible, key=lambda file: natural(str(file)))


def _existing(root: str) -> Path:
    path = Path(root).expanduser()
    if not path.is_dir():
        raise UserError(f"{root} is not a folder: set data.root to the folder that holds the class folders.")
    return path


def _part_folders(root: Path) -> dict[str, Path]:
    """Return the folder of each part; all of `root` is the training part where it holds no part folders."""
    found = [path for path in _subfolders(root) if path.name.lower() in PARTS]
    parts = {PARTS[path.name.lower()]: path for path in found}
    if len(parts) < len(found):
        raise UserError(f"{root} holds two folders for one part ({listed(found, 5)}): keep one of them.")
    if found and "train" not in parts:
        raise UserError(f"{root} holds {listed(found, 5)} but no train: name the folder of training images train.")
    return parts or {"train": root}


def _class_folders(part: Path) -> list[Path]:
    folders = _subfolders(part)
    if not folders:
        raise UserError(f"{part} holds no class folders: put its images into one folder a class, or remove it.")
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
            f"{len(empty)} class folder(s) hold no image that can be read: {listed(empty, 5)}. "
            "Remove them or put images in."
        )


def _refuse_few(names: list[str], root: str) -> None:
    if len(names) < 2:
        raise UserError(f"{root} holds one class folder only ({names[0]}): give every class a folder, at least two.")


def _refuse_twins(names: list[str], root: str) -> None:
    pair = twins(names)
    if pair is not None:
        raise UserError(
            f"{root} holds class folders {pair[0]!r} and {pair[1]!r}, which differ only in letter "
            "case or Unicode form: rename or join them."
        )
