"""What is told of a prediction at its end."""

from pathlib import Path

from rich.console import Console

from lptpp.prediction.predict import Summary


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
