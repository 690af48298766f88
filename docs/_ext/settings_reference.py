"""The tables of docs/settings.md: every setting with its meaning, default and allowed values, from the schema."""

from collections.abc import Iterator
from dataclasses import MISSING, Field, asdict, fields, is_dataclass
from inspect import getdoc
from types import NoneType
from typing import Any, get_args, get_type_hints

from lptpp import config
from lptpp.config import flat
from lptpp.config.schema import Settings
from lptpp.config.validate import held_by

MARK = "<!-- the tables, made from src/lptpp/config/schema.py when the site is built -->"
HEAD = "| key | meaning | default | values |\n| --- | --- | --- | --- |"
KINDS = {
    int: "whole number",
    float: "number",
    bool: "`true`, `false`",
    str: "text",
    list[int]: "list of whole numbers",
    list[str]: "list of texts",
    dict[str, float]: "numbers by name",
}


def tables(root: type) -> str:
    """Return Markdown: for `root` and each dataclass below it a heading, the place of its keys, and a table."""
    places: dict[type, list[str]] = {}
    for schema, place in _placed(root, ""):
        places.setdefault(schema, []).append(place)
    return "\n\n".join(_section(one, where) for one, where in places.items())


def _placed(schema: Any, place: str) -> Iterator[tuple[type, str]]:
    """Yield a dataclass and those below it, each with the key in front of its own; NAME is a name that users choose."""
    yield schema, place
    for one, hint in get_type_hints(schema).items():
        below = f"{place}.{one}" if place else one
        if is_dataclass(hint):
            yield from _placed(hint, below)
        elif (held := held_by(hint)) is not None:
            yield from _placed(held, f"{below}.NAME")


def _section(schema: Any, places: list[str]) -> str:
    where = "Keys: " + ", ".join(f"`{place}.…`" for place in places) + ".\n\n" if places != [""] else ""
    hints = get_type_hints(schema)
    rows = "\n".join(_row(one, hints[one.name]) for one in fields(schema))
    return f"## {schema.__name__}\n\n{getdoc(schema)}\n\n{where}{HEAD}\n{rows}"


def _row(one: Field, hint: Any) -> str:
    below: Any = hint if is_dataclass(hint) else held_by(hint)
    value: Any = one.default if one.default_factory is MISSING else one.default_factory()
    meaning = one.metadata["meaning"] or getdoc(below) or ""
    if below is None:
        return f"| `{one.name}` | {_cell(meaning)} | `{_yaml(value)}` | {_cell(_values(one, hint))} |"
    here = _differing(value) if is_dataclass(hint) else ""
    return f"| `{one.name}` | {_cell(meaning + here)} | | [{below.__name__}](#{below.__name__.lower()}) |"


def _values(one: Field, hint: Any) -> str:
    """Return the choices of a setting, or its type and range."""
    choices, within = one.metadata["choices"], one.metadata["within"]
    kind = next(kind for kind in (get_args(hint) if NoneType in get_args(hint) else [hint]) if kind is not NoneType)
    found = ", ".join(f"`{choice}`" for choice in choices) or KINDS[kind]
    if choices and kind == list[str]:
        found = f"list of {found}"
    found += f", {within}" if within is not None else ""
    return f"{found}, or `null`" if NoneType in get_args(hint) else found


def _yaml(value: Any) -> str:
    words = {None: "null", True: "true", False: "false"}
    return words[value] if value is None or isinstance(value, bool) else str(value)


def _differing(value: Any) -> str:
    """Return the values that differ from the defaults of a dataclass."""
    usual, here = flat(asdict(type(value)())), flat(asdict(value))
    changed = [f"`{key}={new}`" for key, new in here.items() if key not in usual or usual[key] != new]
    return f" Here: {', '.join(changed)}" if changed else ""


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def setup(app: Any) -> dict[str, bool]:
    """Let Sphinx insert the tables at the mark in docs/settings.md."""
    app.connect("source-read", _fill)
    return {"parallel_read_safe": True}


def _fill(app: Any, page: str, source: list[str]) -> None:
    if page == "settings":
        app.env.note_dependency(config.schema.__file__)
        source[0] = source[0].replace(MARK, tables(Settings))
