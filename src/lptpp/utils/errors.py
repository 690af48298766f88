"""Errors that a user can mend, told in one sentence."""

import difflib
from collections.abc import Iterable


class UserError(ValueError):
    """Something a user wrote or gave: says which file or key, what was expected, what to do."""


class Interrupted(Exception):
    """The user asked the run to stop; everything is saved."""


def did_you_mean(name: str, known: Iterable[str], prefix: str = "") -> str:
    """Return a clause that proposes the known names nearest to `name`, after `prefix`, or lists up to twelve of all."""
    known = list(known)
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.6)
    if near:
        return "did you mean " + " or ".join(prefix + one for one in near) + "?"
    return "known are " + ", ".join(known[:12]) + (", …" if len(known) > 12 else "")
