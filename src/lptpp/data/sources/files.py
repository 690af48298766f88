"""Finding and reading the files that describe a data set."""

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from lptpp.data.dataset import ImageReference, MissingImage
from lptpp.utils.errors import UserError, did_you_mean
from lptpp.utils.text import listed


def resolve_path(name: str, root: Path) -> Path:
    """Return `name` as a path, relative to the working folder if it exists there, else to `root` if it exists there."""
    path = Path(name).expanduser()
    return root / path if not path.exists() and (root / path).exists() else path


def matching_files(pattern: str, root: Path) -> list[Path]:
    """Return the files that a name or glob pattern matches, in the working folder or else in `root`, in natural order.

    Raises:
        UserError: there is none.
    """
    if resolve_path(pattern, root).is_file():
        return [resolve_path(pattern, root)]
    path = Path(pattern).expanduser()
    found = _glob(path) or _glob(root / path)
    if not found:
        raise UserError(
            f"{pattern} matches no file in the working folder or in {root}: {suggest_files(path, root / path)}"
        )
    return sorted(found, key=lambda path: natural_key(str(path)))


def suggest_files(*missing: Path) -> str:
    """Return a clause that suggests files near missing ones: with the same suffix, else with the same stem."""
    folders = [path.parent for path in missing if path.parent.is_dir()]
    files = [file for folder in folders for file in folder.iterdir() if file.is_file()]
    name = missing[0]
    similar = {file.name for file in files if name.suffix and file.suffix.lower() == name.suffix.lower()}
    similar = similar or {file.name for file in files if file.stem == name.stem}
    if similar:
        return did_you_mean(name.name, sorted(similar, key=natural_key))
    return f"{folders[-1]} has no similar file." if folders else f"the folder {missing[-1].parent} does not exist."


def read_text(path: Path, purpose: str) -> str:
    """Return the text of a UTF-8 file; `purpose` says what it is for in messages.

    Raises:
        UserError: the file does not exist or is not UTF-8 text.
    """
    if not path.is_file():
        raise UserError(f"{path} does not exist (expected {purpose}): {suggest_files(path)}")
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise UserError(f"{path} (expected {purpose}) is not UTF-8 text: save it as UTF-8.") from None


def read_json(path: Path, purpose: str) -> Any:
    """Return the content of a JSON file; raises UserError as `read_text` does, and for invalid JSON."""
    try:
        return json.loads(read_text(path, purpose))
    except json.JSONDecodeError as error:
        raise UserError(f"{path} line {error.lineno} is not valid JSON ({error.msg}): correct or replace it.") from None


def refuse_all_missing(images: Iterable[tuple[str, ImageReference]]) -> None:
    """Raise UserError if none of the listed files exists, since then the folder is wrong.

    `images` are pairs of the place that names an image and the image. Single missing files count as unreadable images.
    """
    missing = []
    for place, image in images:
        if isinstance(image, MissingImage):
            continue
        if not isinstance(image, Path) or image.is_file():
            return
        missing.append(f"{place}: {image}")
    if missing:
        message = f"None of the {len(missing):,} listed images exists ({listed(missing, 1)})"
        raise UserError(f"{message}: correct data.root or the paths.")


def natural_key(name: str) -> tuple[list[tuple[int, str]], str]:
    """Return a sort key that puts "class 2" before "class 10"."""
    pieces = re.findall(r"(\d+)|(\D+)", name.casefold())
    return [(int(digits), "") if digits else (-1, text) for digits, text in pieces], name


def _glob(pattern: Path) -> list[Path]:
    found = Path(pattern.anchor).glob(str(pattern.relative_to(pattern.anchor)))
    return [path for path in found if path.is_file()]
