"""Every key that a user gives must exist; a wrong one is told with its full path and the nearest right one."""

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, get_args, get_origin, get_type_hints

from lptpp.errors import UserError, did_you_mean


def check_keys(given: Any, schema: Any, source: str) -> None:
    """Raise `UserError` for a key of `given` that `schema`, a dataclass, has not, at any depth."""
    _check(given, schema, schema, source, "")


def _check(given: Any, hint: Any, schema: Any, source: str, path: str) -> None:
    kind = _kind_of_values(hint)
    if not is_dataclass(hint) and kind is None:
        return
    if not isinstance(given, Mapping):
        raise UserError(f"{source}: {path}={given}: expected settings below it, {path}.KEY and so on.")
    hints = {str(name): kind for name in given} if kind is not None else get_type_hints(hint)
    for name in map(str, given):
        below = f"{path}.{name}" if path else name
        if name not in hints:
            raise UserError(f"{source}: there is no setting {below}: {_nearest(name, path, hint, schema)}")
        _check(given[name], hints[name], schema, source, below)


def _kind_of_values(hint: Any) -> Any:
    """Return the dataclass that a dictionary of named settings holds, None for any other type."""
    is_named = get_origin(hint) is dict and is_dataclass(get_args(hint)[1])
    return get_args(hint)[1] if is_named else None


def _nearest(name: str, path: str, hint: Any, schema: Any) -> str:
    """Propose a key of the same name elsewhere, else those that look like it here."""
    elsewhere = [key for key in _paths(schema, "") if key.split(".")[-1] == name]
    if elsewhere:
        return f"did you mean {' or '.join(elsewhere)}?"
    return did_you_mean(name, [field.name for field in fields(hint)], f"{path}." if path else "")


def _paths(hint: Any, path: str) -> Iterator[str]:
    """Yield the full path of every setting; NAME stands for a name that the user gives."""
    kind = _kind_of_values(hint)
    if kind is not None:
        yield from _paths(kind, f"{path}.NAME")
    elif is_dataclass(hint):
        for name, below in get_type_hints(hint).items():
            yield f"{path}.{name}" if path else name
            yield from _paths(below, f"{path}.{name}" if path else name)
