"""Errors caused by user input, and suggestions for their messages."""

import difflib
from collections.abc import Iterable

from lptpp.utils.text import either

LISTED = 12  # names in a message
CLOSE = 0.75  # similarity of names that are likely to be one: apart by about a letter in four


class UserError(ValueError):
    """Invalid user input. The message says which file or key is wrong, what was expected, and what to do.

    Each argument is a line of the message; a line break within one comes from a name, and is shown as such.
    """

    def __str__(self) -> str:
        return "\n".join(map(str, self.args))

    def within(self, place: str) -> "UserError":
        """Return the same error with a place in front, such as an option."""
        first, *others = self.args
        return UserError(f"{place}: {first}", *others)


class Interrupted(Exception):
    """The user stopped the run; its progress is saved."""


class Ended(Exception):
    """Another process of the run has ended, which ends this one too; the message is what PyTorch says."""


class StoppedAtOnce(Exception):
    """The user stopped a command without waiting; progress since the last checkpoint is lost."""


def close_names(unknown: Iterable[str], known: Iterable[str]) -> str:
    """Return a sentence on the unknown names that are spelled much like a known one, with a space in front, or "".

    Numbers are never alike.
    """
    by_folded = {name.casefold(): name for name in known}
    words = (name for name in unknown if not name.isdecimal())
    pairs = {name: difflib.get_close_matches(name.casefold(), by_folded, n=1, cutoff=CLOSE) for name in words}
    meant = [f"{by_folded[near[0]]} (for {name!r})" for name, near in pairs.items() if near]
    return f" Did you mean {', '.join(meant)}?" if meant else ""


def did_you_mean(name: str, known: Iterable[str], prefix: str = "") -> str:
    """Return a clause that suggests the known names closest to `name`, each after `prefix`, or lists them."""
    known = list(known)
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.6)
    if near:
        return f"did you mean {either(prefix + one for one in near)}?"
    return f"expected {either(known)}." if len(known) <= LISTED else f"expected one of {', '.join(known[:LISTED])}, …."
