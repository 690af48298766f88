"""Reading the files that describe a data set, and the sentence for files that are not there."""

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from lptpp.data.dataset import ImageReference
from lptpp.data.sources.columns import Nothing
from lptpp.utils.errors import UserError, did_you_mean
from lptpp.utils.text import listed


def located(name: str, root: Path) -> Path:
    """Return the file of this name as it stands, or below `root` where it only exists there."""
    path = Path(name).expanduser()
    return root / path if not path.exists() and (root / path).exists() else path


def matching(pattern: str, root: Path) -> list[Path]:
    """Return the file of this name, or all files that a pattern with *, ? or [] means, here or else below `root`.

    Raises:
        UserError: there is none.
    """
    if located(pattern, root).is_file():
        return [located(pattern, root)]
    path = Path(pattern).expanduser()
    found = _meant(path) or _meant(root / path)
    if not found:
        raise UserError(f"{pattern} is no file, here or in {root}, and matches none: {beside(path, root / path)}")
    return sorted(found, key=lambda path: natural(str(path)))


def _meant(pattern: Path) -> list[Path]:
    found = Path(pattern.anchor).glob(str(pattern.relative_to(pattern.anchor)))
    return [path for path in found if path.is_file()]


def beside(*missing: Path) -> str:
    """Return a clause that proposes files in the folders of one that is not there: of its suffix, else of its stem."""
    folders = [path.parent for path in missing if path.parent.is_dir()]
    files = [file for folder in folders for file in folder.iterdir() if file.is_file()]
    name = missing[0]
    alike = {file.name for file in files if name.suffix and file.suffix.lower() == name.suffix.lower()}
    alike = alike or {file.name for file in files if file.stem == name.stem}
    if alike:
        return did_you_mean(name.name, sorted(alike, key=natural))
    return f"{folders[-1]} holds none like it." if folders else f"there is no folder {missing[-1].parent}."


def read_text(path: Path, purpose: str) -> str:
    """Return the text of a UTF-8 file.

    Raises:
        UserError: there is no such file, or it is not text; the sentence says what it is for.
    """
    if not path.is_file():
        raise UserError(f"{path} is not a file: it is needed as {purpose}; {beside(path)}")
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise UserError(f"{path} is not UTF-8 text, as {purpose} must be: save it as UTF-8.") from None


def read_json(path: Path, purpose: str) -> Any:
    """Return what a JSON file holds; raises UserError as `read_text` does, and for text that is not JSON."""
    try:
        return json.loads(read_text(path, purpose))
    except json.JSONDecodeError as error:
        raise UserError(f"{path} line {error.lineno} is not JSON ({error.msg}): fetch or write it again.") from None


def refuse_all_missing(images: Iterable[tuple[str, ImageReference]]) -> None:
    """Raise UserError where no file of the list is there, each given with the place that names it.

    Then the folder is wrong; a file that others are there without counts as a picture that cannot be read, and so does
    an empty cell.
    """
    missing = []
    for place, image in images:
        if isinstance(image, Nothing):
            continue
        if not isinstance(image, Path) or image.is_file():
            return
        missing.append(f"{place}: {image}")
    if missing:
        message = f"None of the {len(missing):,} listed images is there ({listed(missing, 1)})"
        raise UserError(f"{message}: correct data.root or the paths.")


def natural(name: str) -> tuple[list[tuple[int, str]], str]:
    """Return a sort key that puts "class 2" before "class 10"."""
    pieces = re.findall(r"(\d+)|(\D+)", name.casefold())
    return [(int(digits), "") if digits else (-1, text) for digits, text in pieces], name
