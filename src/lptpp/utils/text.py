"""Text of messages: lists of names, numbers with their nouns, and names that a terminal can show."""

import logging
import os
import re
from collections.abc import Iterable

# C0 and C1 controls, line ends, marks that turn the direction of text, and bytes that are not UTF-8
CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")

PERCENT_FROM = 5  # a smaller number above 1 is probably no percentage


def listed(names: Iterable[object], most: int = 8, between: str = ", ", of: int | None = None) -> str:
    """Return the first `most` names and the number of the others; `of` is that of all, if only some are given."""
    texts = [str(name) for name in names]
    total = len(texts) if of is None else of
    more = f" and {total - most:,} more" if total > most else ""
    return between.join(texts[:most]) + more


def either(names: Iterable[object]) -> str:
    """Return alternatives: a, b or c."""
    *first, last = map(str, names)
    return f"{', '.join(first)} or {last}" if first else last


def printable(name: str) -> str:
    """Return a file name as valid Unicode; bytes of another encoding in it become �."""
    return os.fsencode(name).decode("utf-8", "replace")


def visible(text: str) -> str:
    """Return a line for a terminal or a log: control characters of names in it, such as ESC, as escape sequences."""
    return CONTROLS.sub(lambda found: repr(found[0])[1:-1], text)


class VisibleFormatter(logging.Formatter):
    """Formats log messages for a terminal or a file, see `visible`; tracebacks keep their lines."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (of logging.Formatter)
        """Return the line of a message."""
        return visible(super().formatMessage(record))


def duration(seconds: int) -> str:
    """Return seconds as `--time` takes them, such as 1h30m or 90s as 1m30s."""
    parts = (seconds // 3600, "h"), (seconds // 60 % 60, "m"), (seconds % 60, "s")
    return "".join(f"{number}{unit}" for number, unit in parts if number)


def percent_hint(given: float) -> str:
    """Return a clause for a number that should be a share from 0 to 1 but looks like a percentage; else nothing."""
    return f"; for {given:g}%, write {given / 100:g}" if PERCENT_FROM <= given <= 100 else ""


def number_hint(given: str) -> str:
    """Return a clause for text that means a number: 20% or 0,7; else nothing."""
    if found := re.fullmatch(r"(\d+(?:[.,]\d+)?)\s*%", given):
        return f"; for {given}, write {float(found[1].replace(',', '.')) / 100:g}"
    return f"; write {given.replace(',', '.')}" if re.fullmatch(r"\d+,\d+", given) else ""


def short_number(number: float) -> str:
    """Return a number as a user may have written it: 20 for 20.0."""
    return str(int(number) if isinstance(number, float) and number.is_integer() else number)


def counted(number: int, noun: str) -> str:
    """Return a number with its noun in the singular or plural: 1 image, 1,200 images, 2 classes."""
    plural = f"{noun}es" if noun.endswith("s") else f"{noun}s"
    return f"{number:,} {noun if number == 1 else plural}"
