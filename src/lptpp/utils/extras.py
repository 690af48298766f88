"""Optional dependencies, imported on use."""

from importlib import import_module
from typing import Any

from lptpp.utils.errors import UserError


def extra(module: str, name: str, purpose: str) -> Any:
    """Return a module of the extra `name`; `purpose` says in messages what requires it.

    Raises:
        UserError: it is not installed.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise UserError(f'{purpose} requires an extra: run pip install "lptpp[{name}]" ({error}).') from error
