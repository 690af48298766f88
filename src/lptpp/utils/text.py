"""Lists of names, and numbers with their nouns, in messages."""

import os
from collections.abc import Iterable


def listed(names: Iterable[object], most: int = 8, between: str = ", ") -> str:
    """Return the first `most` names and the number of the others."""
    texts = [str(name) for name in names]
    more = f" and {len(texts) - most:,} more" if len(texts) > most else ""
    return between.join(texts[:most]) + more


def printable(name: str) -> str:
    """Return a file name as valid Unicode; bytes of another encoding in it become �."""
    return os.fsencode(name).decode("utf-8", "replace")


def counted(number: int, noun: str) -> str:
    """Return a number with its noun in the singular or plural: 1 image, 1,200 images, 2 classes."""
    plural = f"{noun}es" if noun.endswith("s") else f"{noun}s"
    return f"{number:,} {noun if number == 1 else plural}"
