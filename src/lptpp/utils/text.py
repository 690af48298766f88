"""Lists of names, and numbers with their nouns, in messages."""

import os
import re
from collections.abc import Iterable

# C0 and C1 controls, and those that reverse the direction of text
CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def listed(names: Iterable[object], most: int = 8, between: str = ", ") -> str:
    """Return the first `most` names and the number of the others."""
    texts = [str(name) for name in names]
    more = f" and {len(texts) - most:,} more" if len(texts) > most else ""
    return between.join(texts[:most]) + more


def printable(name: str) -> str:
    """Return a file name as valid Unicode; bytes of another encoding in it become �."""
    return os.fsencode(name).decode("utf-8", "replace")


def visible(text: str) -> str:
    """Return a message with its control characters, such as ESC, as escape sequences; newlines and tabs stay."""
    return CONTROLS.sub(lambda found: repr(found[0])[1:-1], text)


def counted(number: int, noun: str) -> str:
    """Return a number with its noun in the singular or plural: 1 image, 1,200 images, 2 classes."""
    plural = f"{noun}es" if noun.endswith("s") else f"{noun}s"
    return f"{number:,} {noun if number == 1 else plural}"
