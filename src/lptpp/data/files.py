"""Reading the files that describe a data set, and the sentence for files that are not there."""

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from lptpp.errors import UserError


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
        raise UserError(f"{pattern} is no file, here or in {root}, and matches none: check the name and data.root.")
    return sorted(found, key=lambda path: natural(str(path)))


def _meant(pattern: Path) -> list[Path]:
    found = Path(pattern.anchor).glob(str(pattern.relative_to(pattern.anchor)))
    return [path for path in found if path.is_file()]


def read_text(path: Path, purpose: str) -> str:
    """Return the text of a UTF-8 file.

    Raises:
        UserError: there is no such file, or it is not text; the sentence says what it is for.
    """
    if not path.is_file():
        raise UserError(f"{path} is not a file: it is needed as {purpose}.")
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


def refuse_missing(images: Iterable[tuple[str, Path]]) -> None:
    """Raise one UserError for all images that are not there; each comes with the place that names it."""
    missing = [f"{place}: {path}" for place, path in images if not path.is_file()]
    if missing:
        more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
        raise UserError(
            f"{len(missing)} listed image(s) are missing: {'; '.join(missing[:5])}{more}. "
            "Put them there, correct data.root, or take them off the list."
        )


def natural(name: str) -> tuple[list[tuple[int, str]], str]:
    """Return a sort key that puts "class 2" before "class 10"."""
    pieces = re.findall(r"(\d+)|(\D+)", name.casefold())
    return [(int(digits), "") if digits else (-1, text) for digits, text in pieces], name
