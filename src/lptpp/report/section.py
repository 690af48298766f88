"""The content of the page: sections of plots, tables and images, each with a caption that explains how to read it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from matplotlib.figure import Figure


@dataclass(frozen=True)
class Plot:
    """A figure, what it shows about the run, and how to read it."""

    kind: ClassVar[str] = "plot"
    figure: Figure
    title: str
    finding: str
    caption: str
    tooltips: dict[str, list[str]] = field(default_factory=dict)  # by gid of a set of markers: a text per marker
    style: str = ""  # a class of the style sheet: wide


@dataclass(frozen=True)
class Cell:
    """A table cell; `style` contains classes of the style sheet: number, best, shot, many, medium, few."""

    text: str
    style: str = ""


@dataclass(frozen=True)
class Table:
    """A table and how to read it; the row at index `highlighted` stands out."""

    kind: ClassVar[str] = "table"
    title: str
    headings: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    caption: str = ""
    highlighted: int | None = None


@dataclass(frozen=True)
class ClassTable:
    """A table of all classes that a script sorts and searches; `rows` are those shown without it.

    `data` has for each class: its name, the index of its shot in `SHOTS`, training images, test images, accuracies
    (percent or None), the index in `names` of the class predicted instead (or None), and its images.
    """

    kind: ClassVar[str] = "classes"
    title: str
    headings: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    data: Sequence[Sequence[Any]]
    names: Sequence[str]
    shown: int
    caption: str = ""
    highlighted: None = None


@dataclass(frozen=True)
class RowPrediction:
    """The prediction of one row of the shot table on an image."""

    name: str
    label: str
    probability: float
    correct: bool
    weight: float | None = None  # scorer weight of an expert in a mixture


@dataclass(frozen=True)
class ExampleImage:
    """An image, its true class, and the predictions on it."""

    source: str | None  # data URI; None if the image cannot be loaded
    name: str
    true: str
    shot: str
    training_images: int
    truth: float  # probability of the true class in the result row
    predicted: Sequence[RowPrediction]  # of the result, then of each expert


@dataclass(frozen=True)
class Gallery:
    """A series of example images."""

    kind: ClassVar[str] = "gallery"
    title: str
    caption: str
    examples: Sequence[ExampleImage]


@dataclass(frozen=True)
class Picture:
    """A single picture, as a data URI, and how to read it."""

    kind: ClassVar[str] = "picture"
    title: str
    source: str
    caption: str


@dataclass(frozen=True)
class Preformatted:
    """Preformatted text."""

    kind: ClassVar[str] = "listing"
    title: str
    text: str


@dataclass(frozen=True)
class Section:
    """A section of the page; `note` says what is missing, or what to do."""

    title: str
    parts: Sequence[Plot | Table | ClassTable | Gallery | Picture | Preformatted] = ()
    intro: str = ""
    note: str = ""


def number(text: str, style: str = "") -> Cell:
    """Return a right-aligned cell."""
    return Cell(text, f"number {style}".strip())


def class_cell(name: str, shot: str) -> Cell:
    """Return a cell with the name of a class after the marker of its shot."""
    return Cell(name, f"shot {shot}")
