"""Reading the files that describe a data set."""

import codecs
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from lptpp.data.dataset import ImageReference, MissingImage
from lptpp.utils.errors import UserError
from lptpp.utils.paths import refuse_no_file
from lptpp.utils.text import listed

FORMATS = {  # first bytes of files that are no UTF-8 text
    codecs.BOM_UTF16_LE: "encoded as UTF-16: save it as UTF-8 (in Excel: CSV UTF-8)",
    codecs.BOM_UTF16_BE: "encoded as UTF-16: save it as UTF-8 (in Excel: CSV UTF-8)",
    b"PK\x03\x04": "an Excel workbook or a zip file: save the sheet as CSV UTF-8, or unpack the file",
    b"\xd0\xcf\x11\xe0": "an Excel workbook: save the sheet as CSV UTF-8",
    b"PAR1": "a parquet file: rename it to .parquet",
    b"\x1f\x8b": "compressed: decompress it with gunzip",
}


def read_text(path: Path, purpose: str) -> str:
    """Return the text of a UTF-8 file; `purpose` says what it is for in messages.

    Raises:
        UserError: the file does not exist or is not UTF-8 text.
    """
    refuse_no_file(path, purpose)
    content = path.read_bytes()
    for start, kind in FORMATS.items():
        if content.startswith(start):
            raise UserError(f"{path} (expected {purpose}) is {kind}.")
    try:
        return content.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError:
        raise UserError(f"{path} (expected {purpose}) is not UTF-8 text: save it as UTF-8.") from None


def read_json(path: Path, purpose: str) -> Any:
    """Return the content of a JSON file; raises UserError as `read_text` does, and for invalid JSON."""
    text = read_text(path, purpose)
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError(f"{path} line {error.lineno} is not valid JSON ({error.msg}): correct or replace it.") from None
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, thousands of brackets
        raise UserError(f"{path} is not usable JSON ({error}): correct or replace it.") from None


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
        number = re.search(r" (\d+)$", missing[0])
        columns = f"; {number[1]} was read as part of the path: expected one number after it" if number else ""
        raise UserError(f"{message}: correct data.root or the paths{columns}.")
