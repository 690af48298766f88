"""Classes whose names are equal but for letter case, spaces, leading zeros or invisible characters."""

import re
import unicodedata
from collections.abc import Iterable

from lptpp.data.dataset import ImageDataset
from lptpp.utils.errors import UserError
from lptpp.utils.text import counted, listed

INVISIBLE = ("Cc", "Cf")  # Unicode categories: controls, zero-width characters
CODE = re.compile(r"\s*(class[ _]?)?#?\d+([._:-].*)?\s*$|\s*n\d{8}\s*$", re.IGNORECASE)
NO_LABELS = {"nan", "na", "n/a", "<na>", "null", "none", "nat", "#n/a"}  # how programs write a missing label


def folded(name: str) -> str:
    """Return a name without what the eye does not see: oak for "Oak ", 1 for "001"."""
    visible = "".join(letter for letter in unicodedata.normalize("NFC", name) if not _is_invisible(letter))
    return re.sub(r"(?<!\d)0+(?=\d)", "", " ".join(visible.casefold().split()))


def similar_names(names: Iterable[str]) -> list[list[str]]:
    """Return the groups of two or more names that are equal when folded."""
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(folded(name), []).append(name)
    return [group for group in groups.values() if len(group) > 1]


def refuse_two_spellings(dataset: ImageDataset) -> None:
    """Raise UserError if a class without training images is another class in another spelling."""
    names, counts = dataset.class_names, dataset.counts()
    trained = {name for name, count in zip(names, counts, strict=True) if count}
    pairs = [
        (next(other for other in group if other in trained), name)
        for group in similar_names(names)
        if trained & set(group)
        for name in group
        if name not in trained
    ]
    if pairs:
        raise UserError(
            f"{counted(len(pairs), 'class')} without a training image {'differs' if len(pairs) == 1 else 'differ'} from"
            " one with training images only in letter case,"
            f" spaces, leading zeros or invisible characters: {listed(f'{b!r} and {a!r}' for a, b in pairs)}. Use one"
            " spelling in all splits."
        )


def is_no_label(name: str) -> bool:
    """Return whether a class name is what programs write for a missing label."""
    return name.strip().lower() in NO_LABELS


def is_code(name: str) -> bool:
    """Return whether a class name is a number, begins with one (001.Albatross), or is an identifier of WordNet."""
    return CODE.match(name) is not None


def _is_invisible(letter: str) -> bool:
    return unicodedata.category(letter) in INVISIBLE and not letter.isspace()
