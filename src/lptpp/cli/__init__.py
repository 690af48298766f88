"""The command line: a function per command, which imports what it needs when it runs, after a check of its settings."""

from lptpp.cli.commands import app
from lptpp.cli.program import main

__all__ = ["app", "main"]
