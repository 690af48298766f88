"""A value of another type than its setting: what was expected, in words."""

import re
from dataclasses import is_dataclass
from types import NoneType
from typing import Any, get_args, get_type_hints

WORDS = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "text",
    list[int]: "a list of whole numbers, as in [20,100]",
    list[str]: "a list of texts, as in [one,two]",
}


def expected(schema: Any, key: str) -> str:
    """Return in words what the setting `key`, such as phase1.epochs or evaluation.borders[0], of a dataclass may be."""
    hint = schema
    for name in re.findall(r"[^.\[\]]+", key):
        below = get_type_hints(hint).get(name) if is_dataclass(hint) else (get_args(hint) or [None])[-1]
        if below is None:  # a name with a dot in it
            return "a value of another kind"
        hint = below
    kinds = [kind for kind in get_args(hint) if kind is not NoneType] if NoneType in get_args(hint) else [hint]
    told = WORDS.get(kinds[0], f"settings below it, as in {key}.NAME=VALUE")
    return told if kinds == [hint] else f"{told}, or null"


def written(value: Any) -> str:
    """Return a value as the command line takes it."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)
