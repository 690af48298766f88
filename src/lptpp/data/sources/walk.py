"""Finding the image files below a folder, with a note for every other file."""

import os
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from lptpp.data.dataset import Note
from lptpp.data.files import Files
from lptpp.utils.natural import naturally_sorted
from lptpp.utils.paths import natural_key

LOSSY = (".jpg", ".jpeg", ".jpe", ".jfif", ".jp2", ".webp", ".avif", ".heic", ".heif", ".hif", ".tif", ".tiff")
LOSSLESS = (".png", ".apng", ".gif", ".bmp", ".dib", ".ppm", ".pgm", ".pbm", ".pnm", ".tga", ".ico", ".pcx")
SUFFIXES = LOSSY + LOSSLESS
USUAL = {*SUFFIXES, *map(str.upper, SUFFIXES)}  # nearly all names end in one of them
PASSED_OVER = "passed_over"
FOLDER, IMAGE, LINKED = "folder", "image", "linked folder"
FOLDERS = FOLDER, LINKED
BLOCK = 65_536  # entries of a folder that are looked at together
BROKEN_LINK, HIDDEN_FOLDER = NOUNS = "broken link", "hidden folder"
CLUTTER = {".ds_store", "thumbs.db", "desktop.ini", "icon\r"}  # written by file managers, not worth a note
SYSTEM_FOLDERS = {"__MACOSX", "@eaDir", "$RECYCLE.BIN", "System Volume Information", "lost+found", "__pycache__"}


class Found(NamedTuple):
    """The image files below a folder, in natural order, and notes on the other files."""

    images: Files
    passed: list[Note]


def walk(folder: Path, base: str = "") -> Found:
    """Return what is at any depth below a folder. Links to files are followed, links to folders below it are not.

    The path of the folder begins with `base`, which all images share (see `lptpp.data.files`).
    """
    images: dict[str, list[str]] = {}  # names by folder
    passed: list[Note] = []
    for own, names, notes in scan(folder):
        if names:
            images.setdefault(own, []).extend(names)
        passed += notes
    return Found(_in_order(images, str(folder), base), passed)


def scan(folder: Path) -> Iterator[tuple[str, list[str], Iterable[Note]]]:
    """Yield what `walk` finds in blocks: a folder with a separator at its end, names of images in it, and notes.

    The order is that of the disk. Memory holds one block and the names of the folders.
    """
    folders = [str(folder)]
    while folders:
        current = folders.pop()
        own = os.path.join(current, "")  # noqa: PTH118 (a separator at the end)
        with os.scandir(current) as found:
            while entries := list(islice(found, BLOCK)):
                names, others = listing(entries)
                yield own, names, [Note(PASSED_OVER, path, kind) for kind, path in others if kind not in FOLDERS]
                for kind, path in others:
                    if kind == FOLDER:
                        folders.append(path)
                    elif kind == LINKED:
                        yield own, [], _behind(path)


def listing(entries: list[os.DirEntry[str]]) -> tuple[list[str], list[tuple[str, str]]]:
    """Return the names of the images among entries of a folder, and the kind and the path of what is worth a note.

    No regular file is looked up: what the folder says of its entries is enough.
    """
    images = [entry.name for entry in entries if entry.is_file(follow_symlinks=False)]
    if len(images) == len(entries) and _are_usual(images):
        return images, []
    kinds = [(_kind(entry), entry) for entry in entries if entry.name.lower() not in CLUTTER]
    others = [(kind, entry.path) for kind, entry in kinds if kind != IMAGE]
    return [entry.name for kind, entry in kinds if kind == IMAGE], others


def _are_usual(names: list[str]) -> bool:
    """Return whether no name is hidden and the suffix of every one is in `USUAL`; fastest if all have one suffix."""
    end = names[0][names[0].rfind(".") :] if names else ""
    text = "\n".join(["", *names, ""])
    if "\n." in text:
        return False
    if end in USUAL and text.count(f"{end}\n") == text.count("\n") - 1 == len(names):
        return True
    return {name[name.rfind(".") :] for name in names} <= USUAL


def _in_order(images: dict[str, list[str]], folder: str, base: str) -> Files:
    """Return the images of a folder, given by name and folder, in natural order of their paths."""
    if len(images) == 1:
        ((own, names),) = images.items()
        return Files.in_folder(own, naturally_sorted(names), base)
    begin = len(folder.rstrip("/"))
    paths = [own + name for own, names in images.items() for name in names]
    paths.sort(key=lambda path: natural_key(path[begin:]))
    return Files.of(paths, base)


def subfolders(path: Path) -> list[Path]:
    """Return the folders in a folder, links included, without hidden ones and those of an operating system."""
    return list(map(Path, sorted(child for kind, child in _entries(str(path)) if kind in (FOLDER, LINKED))))


def loose_files(folder: Path) -> list[Note]:
    """Return notes on what is directly in a folder of class folders and is none."""
    found = [(kind, path) for kind, path in _entries(str(folder)) if kind not in (FOLDER, LINKED)]
    return [Note(PASSED_OVER, path, "outside of class folders" if kind == IMAGE else kind) for kind, path in found]


def has_images(folder: Path) -> bool:
    """Return whether a folder directly contains an image file."""
    return any(kind == IMAGE for kind, _ in _entries(str(folder)))


def is_image(name: str) -> bool:
    """Return whether a file name has the suffix of an image, in any letter case."""
    return name.lower().endswith(SUFFIXES)


def _entries(folder: str) -> Iterator[tuple[str, str]]:
    """Yield the kind and the path of everything in a folder that is worth a note."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.lower() not in CLUTTER:
                yield _kind(entry), entry.path


def _kind(entry: os.DirEntry[str]) -> str:
    """Return `FOLDER`, `IMAGE` or `LINKED`, or in words why an entry is passed over."""
    if entry.name in SYSTEM_FOLDERS:
        return f"folder {entry.name}"
    if entry.name.startswith("."):
        return HIDDEN_FOLDER if entry.is_dir() else "hidden"
    if entry.is_dir():
        return LINKED if entry.is_symlink() else FOLDER
    if entry.is_symlink() and not Path(entry.path).exists():
        return BROKEN_LINK
    if is_image(entry.name) and entry.is_file():
        return IMAGE
    return Path(entry.name).suffix.lower() or "without a suffix"


def _behind(link: str) -> Iterator[Note]:
    """Yield a note on every image file behind a link to a folder."""
    files = (Path(folder, name) for folder, _, names in os.walk(link) for name in names if is_image(name))
    return (Note(PASSED_OVER, str(file), "behind a linked folder") for file in files)
