"""Progress bars on standard error, shown only in a terminal."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

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

console = Console(file=sys.stderr, highlight=False)


@dataclass(frozen=True)
class Bar:
    """One progress bar."""

    progress: Progress
    task: TaskID

    def advance(self, steps: int = 1, note: str = "") -> None:
        """Advance by `steps` and show `note`."""
        self.progress.update(self.task, advance=steps, note=note)


@contextmanager
def progress_bar(description: str, total: int | None, done: int = 0) -> Iterator[Bar]:
    """Show a bar with the time left (without a total, a count) while the block runs; silent outside of a terminal."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(
        *columns, console=console, transient=True, disable=not (console.is_terminal and is_main())
    ) as progress:
        yield Bar(progress, progress.add_task(description, total=total, completed=done, note=""))
