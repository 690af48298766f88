"""The tables of docs/settings.md: every setting with its type, its default, and what the source says beside it."""

import ast
import io
import sys
import tokenize
from collections.abc import Iterator
from dataclasses import MISSING, Field, asdict, fields, is_dataclass
from inspect import getdoc, getsource
from types import ModuleType
from typing import Any, get_args, get_type_hints

from lptpp import config
from lptpp.config import flat

MARK = "<!-- the tables, made from src/lptpp/config.py when the site is built -->"
HEAD = "| key | meaning | default | type |\n| --- | --- | --- | --- |"


def tables(root: type) -> str:
    """Return Markdown: for `root` and each dataclass below it a heading, where its keys stand, and a table."""
    places: dict[type, list[str]] = {}
    for schema, place in _placed(root, ""):
        places.setdefault(schema, []).append(place)
    comments = beside(sys.modules[root.__module__])
    return "\n\n".join(_section(one, where, comments[one.__name__]) for one, where in places.items())


def beside(module: ModuleType) -> dict[str, dict[str, str]]:
    """Return by class and field the comment that stands on the lines of the field's definition."""
    source = getsource(module)
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    comments = {token.start[0]: token.string.lstrip("# ") for token in tokens if token.type == tokenize.COMMENT}
    classes = (node for node in ast.parse(source).body if isinstance(node, ast.ClassDef))
    return {one.name: {_name(line): _comment(line, comments) for line in _definitions(one)} for one in classes}


def _definitions(of: ast.ClassDef) -> Iterator[ast.AnnAssign]:
    return (line for line in of.body if isinstance(line, ast.AnnAssign))


def _name(line: ast.AnnAssign) -> str:
    return ast.unparse(line.target)


def _comment(line: ast.AnnAssign, comments: dict[int, str]) -> str:
    assert line.end_lineno is not None
    return " ".join(comments[at] for at in range(line.lineno, line.end_lineno + 1) if at in comments)


def _placed(schema: Any, place: str) -> Iterator[tuple[type, str]]:
    """Yield a dataclass and those below it, each with the key in front of its own; NAME is for a name one gives."""
    yield schema, place
    for one, hint in get_type_hints(schema).items():
        below = f"{place}.{one}" if place else one
        if is_dataclass(hint):
            yield from _placed(hint, below)
        elif (held := _held(hint)) is not None:
            yield from _placed(held, f"{below}.NAME")


def _held(hint: Any) -> Any:
    """Return the dataclass that a dictionary holds, or None."""
    return next((one for one in get_args(hint) if is_dataclass(one)), None)


def _section(schema: Any, places: list[str], comments: dict[str, str]) -> str:
    where = "Keys: " + ", ".join(f"`{place}.…`" for place in places) + ".\n\n" if places != [""] else ""
    rows = "\n".join(_row(one, get_type_hints(schema)[one.name], comments[one.name]) for one in fields(schema))
    return f"## {schema.__name__}\n\n{getdoc(schema)}\n\n{where}{HEAD}\n{rows}"


def _row(one: Field, hint: Any, comment: str) -> str:
    below: Any = hint if is_dataclass(hint) else _held(hint)
    kind = f"`{_type(hint)}`" if below is None else f"[{below.__name__}](#{below.__name__.lower()})"
    value: Any = one.default if one.default_factory is MISSING else one.default_factory()
    meaning = comment or ("" if below is None else getdoc(below)) or ""
    if is_dataclass(hint):
        return f"| `{one.name}` | {_cell(meaning + _differing(value))} | | {kind} |"
    return f"| `{one.name}` | {_cell(meaning)} | {'nothing' if value is None else f'`{value}`'} | {kind} |"


def _type(hint: Any) -> str:
    written = str(hint) if get_args(hint) else hint.__name__
    return written.replace(" | None", " or nothing")


def _differing(value: Any) -> str:
    """Return what differs here from the defaults of a dataclass, which its own table has."""
    usual, here = flat(asdict(type(value)())), flat(asdict(value))
    changed = [f"`{key}={new}`" for key, new in here.items() if key not in usual or usual[key] != new]
    return f" Here: {', '.join(changed)}" if changed else ""


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def setup(app: Any) -> dict[str, bool]:
    """Let Sphinx put the tables where docs/settings.md has the mark."""
    app.connect("source-read", _fill)
    return {"parallel_read_safe": True}


def _fill(app: Any, page: str, source: list[str]) -> None:
    if page == "settings":
        app.env.note_dependency(config.__file__)
        source[0] = source[0].replace(MARK, tables(config.Settings))
