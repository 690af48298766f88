"""What the mixture makes of experts that disagree."""

import numpy as np

from lptpp.reporting.gather import Run
from lptpp.reporting.section import Cell, Table, number
from lptpp.reporting.words import percent


def agreement(run: Run) -> Table:
    """Return for each set of experts that are right how many images that is, and how often the answer is."""
    of = run.predictions
    right = np.stack([of.said[row] == of.labels for row in run.finals.values()], axis=1)  # (n, E)
    answer = of.said[run.answer] == of.labels
    rows = [
        [
            Cell(_told(list(run.finals), kind)),
            number(percent(100 * here.mean(), 1)),
            number(percent(100 * answer[here].mean(), 1)),
        ]
        for kind in np.unique(right, axis=0)[::-1]
        if (here := (right == kind).all(1)).any()
    ]
    headings = ["experts that are right", "of the images", f"{run.answer} is right"]
    reading = (
        f"Some expert is right on {percent(100 * right.any(1).mean(), 1)} of the images. Where only one of them is, a"
        " high number in the last column says that the scorer knows whom to trust."
    )
    return Table("When the experts disagree", headings, rows, reading)


def _told(names: list[str], right: np.ndarray) -> str:
    if right.all():
        return "all"
    return " and ".join(name for name, so in zip(names, right, strict=True) if so) + " only" if right.any() else "none"
