"""The terminal: a console that names cannot control, and progress bars on standard error, shown only in a terminal."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

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

from lptpp.utils.processes import is_main
from lptpp.utils.text import visible


class Terminal(Console):
    """A console that prints each text as one line, control characters in it as escape sequences.

    Cells of tables are `rich.text.Text`, made by `lptpp.console.tables.cell`.
    """

    def print(self, *objects: Any, **options: Any) -> None:
        """Print texts, tables and other renderables."""
        super().print(*(visible(one) if isinstance(one, str) else one for one in objects), **options)


console = Terminal(file=sys.stderr, highlight=False)


@dataclass(frozen=True)
class Bar:
    """One progress bar."""

    progress: Progress
    task: TaskID

    def advance(self, steps: int = 1, note: str = "") -> None:
        """Advance by `steps` and show `note`."""
        self.progress.update(self.task, advance=steps, note=visible(note))


@contextmanager
def progress_bar(description: str, total: int | None, done: int = 0) -> Iterator[Bar]:
    """Show a bar with the time left (without a total, a count) while the block runs; silent outside of a terminal."""
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}", markup=False),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    shown = console.is_terminal and is_main()
    with Progress(*columns, console=console, transient=True, disable=not shown) as progress:
        yield Bar(progress, progress.add_task(visible(description), total=total, completed=done, note=""))
