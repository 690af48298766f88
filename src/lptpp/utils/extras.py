"""Libraries that only some uses need: imported where they are used, asked for in a sentence where they are missing."""

from importlib import import_module
from typing import Any

from lptpp.utils.errors import UserError


def extra(module: str, name: str, purpose: str) -> Any:
    """Return a module of the extra `name`; `purpose` says what needs it.

    Raises:
        UserError: it is not installed.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise UserError(f'{purpose} needs an extra: run pip install "lptpp[{name}]" ({error}).') from error
