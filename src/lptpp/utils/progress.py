"""The terminal: a console that names cannot control, and progress: bars in a terminal, lines in a file or a pipe."""

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from lptpp.utils.processes import shows_progress
from lptpp.utils.text import visible


class Terminal(Console):
    """A console that prints each text as one line, control characters in it as escape sequences.

    Cells of tables are `rich.text.Text`, made by `lptpp.console.tables.cell`.
    """

    def print(self, *objects: Any, **options: Any) -> None:
        """Print texts, tables and other renderables."""
        super().print(*(visible(one) if isinstance(one, str) else one for one in objects), **options)


console = Terminal(file=sys.stderr, highlight=False)
log = logging.getLogger("lptpp")
FIRST_LINE, LONGEST_WAIT = 2.0, 300.0  # seconds until the first line, and between two at most; the waits double


class Bar(Protocol):
    """Shows progress."""

    def advance(self, steps: int = 1, note: str = "") -> None:
        """Advance by `steps` and show `note`."""


@dataclass(frozen=True)
class TerminalBar:
    """One progress bar."""

    progress: Progress
    task: TaskID

    def advance(self, steps: int = 1, note: str = "") -> None:
        """Advance by `steps` and show `note`."""
        self.progress.update(self.task, advance=steps, note=visible(note))


class LogBar:
    """Progress as lines of the log, for what takes longer than `FIRST_LINE`."""

    def __init__(self, description: str, total: int | None, done: int, unit: str = "") -> None:
        self.description, self.total, self.done, self.unit = description, total, done, unit
        self.wait = FIRST_LINE
        self.next = time.monotonic() + self.wait

    def advance(self, steps: int = 1, note: str = "") -> None:
        """Count `steps`, and log a line if it is time for one."""
        self.done += steps
        if time.monotonic() < self.next:
            return
        of = "" if self.total is None else f" of {self.total:,}"
        unit, rest = f" {self.unit}" if self.unit else "", f", {note}" if note else ""
        log.info("%s", f"{self.description}: {self.done:,}{of}{unit}{rest}")
        self.wait = min(2 * self.wait, LONGEST_WAIT)
        self.next = time.monotonic() + self.wait


@contextmanager
def progress_bar(description: str, total: int | None, done: int = 0, unit: str = "") -> Iterator[Bar]:
    """Show a bar with the time left (without a total, a count) while the block runs; `LogBar` outside of a terminal.

    `unit` is what is counted, in the plural, if the description does not say it.
    """
    if not console.is_terminal or not shows_progress():  # whose lines are not shown
        yield LogBar(description, total, done, unit)
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        *([TextColumn(unit, markup=False)] if unit else []),
        TextColumn("{task.fields[note]}", markup=False),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        yield TerminalBar(progress, progress.add_task(visible(description), total=total, completed=done, note=""))
