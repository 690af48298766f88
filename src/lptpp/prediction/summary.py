"""What is told of a prediction at its end."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console

from lptpp.prediction.judge import Row
from lptpp.progress import Bar

EXAMPLES = 10  # rows of either kind that a summary keeps


@dataclass
class Summary:
    """How many rows were written, how many of them say why an image is unreadable, and the first of either kind."""

    rows: int = 0
    unreadable: int = 0
    answered: list[Row] = field(default_factory=list)
    faults: list[Row] = field(default_factory=list)

    def counting(self, rows: Iterator[Row], bar: Bar) -> Iterator[Row]:
        """Yield the rows, and count them."""
        for row in rows:
            of_its_kind = self.answered if row["error"] is None else self.faults
            if len(of_its_kind) < EXAMPLES:
                of_its_kind.append(row)
            self.rows += 1
            self.unreadable += row["error"] is not None
            bar.advance()
            yield row


def show_summary(console: Console, summary: Summary, output: Path) -> None:
    """Print the first answers, the first unreadable images, and how many there are of either."""
    for row in summary.answered:
        best = f"{row['label_1']} ({row['probability_1']:.0%})"
        console.print(f"{row['image']}: {best if row['answer'] is not None else f'unsure, perhaps {best}'}")
    _show_rest(console, summary.rows - summary.unreadable - len(summary.answered))
    for row in summary.faults:
        console.print(f"{row['image']}: {row['error']}")
    _show_rest(console, summary.unreadable - len(summary.faults))
    console.print(f"{summary.rows:,} images, {summary.unreadable:,} of them unreadable; predictions are in {output}")


def _show_rest(console: Console, number: int) -> None:
    if number:
        console.print(f"… and {number:,} more")
