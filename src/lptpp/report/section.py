"""What a page is made of: sections of figures, tables and pictures, each with sentences that say how to read it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from matplotlib.figure import Figure


@dataclass(frozen=True)
class Plate:
    """A figure, what it shows of this run, and how to read it."""

    kind: ClassVar[str] = "plate"
    figure: Figure
    title: str
    finding: str
    reading: str
    tips: dict[str, list[str]] = field(default_factory=dict)  # by gid of a drawn set of marks: a text for each mark


@dataclass(frozen=True)
class Cell:
    """A cell of a table; `look` holds words of the style sheet: number, best, many, medium, few."""

    text: str
    look: str = ""


@dataclass(frozen=True)
class Table:
    """A table and how to read it; `marked` is the row that stands out."""

    kind: ClassVar[str] = "table"
    title: str
    headings: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    reading: str = ""
    marked: int | None = None


@dataclass(frozen=True)
class RowPrediction:
    """What one row of the shot table says of a picture."""

    name: str
    label: str
    probability: float
    right: bool
    weight: float | None = None  # the scorer's, of an expert in a mixture


@dataclass(frozen=True)
class Example:
    """A picture, its true class, and what was said of it."""

    picture: str | None  # data URI; None where the picture is gone
    name: str
    true: str
    shot: str
    training_images: int
    truth: float | None  # the answer's probability of the true class
    predicted: Sequence[RowPrediction]  # by the answer, then by each expert


@dataclass(frozen=True)
class Strip:
    """A row of pictures."""

    kind: ClassVar[str] = "strip"
    title: str
    reading: str
    examples: Sequence[Example]


@dataclass(frozen=True)
class Listing:
    """Lines to be shown as they are."""

    kind: ClassVar[str] = "listing"
    title: str
    text: str


@dataclass(frozen=True)
class Section:
    """One part of the page; a note says what it lacks, and `command` what adds it."""

    title: str
    parts: Sequence[Plate | Table | Strip | Listing] = ()
    intro: str = ""
    note: str = ""
    command: str = ""


def number(text: str, look: str = "") -> Cell:
    """Return a cell that stands at the right."""
    return Cell(text, f"number {look}".strip())


def class_cell(name: str, shot: str) -> Cell:
    """Return a cell that holds the name of a class after the mark of its shot."""
    return Cell(name, f"shot {shot}")
