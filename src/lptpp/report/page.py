"""The report: one self-contained HTML file."""

from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

from markupsafe import Markup

from lptpp.data.dataset import ImageDataset
from lptpp.data.statistics import SHOTS, describe_shots
from lptpp.evaluation.table import COLUMNS, known, one_decimal
from lptpp.report.gather import EvaluatedRun, NewImages, gather
from lptpp.report.section import Plot, Section
from lptpp.report.sections import (
    calibration,
    classes,
    confusions,
    examples,
    groups,
    learning,
    mixture,
    model_input,
    provenance,
    result,
)
from lptpp.report.style import COLORS, style
from lptpp.report.svg import inline
from lptpp.report.text import templates
from lptpp.utils.disk import atomic_write, make_folder
from lptpp.utils.errors import UserError
from lptpp.utils.progress import progress_bar

REPORT = "report.html"
SECTIONS: tuple[Callable[[EvaluatedRun], Section | None], ...] = (
    result.section,
    classes.section,
    confusions.section,
    examples.section,
    calibration.section,
    mixture.section,
    groups.section,
    model_input.section,
    learning.section,
    provenance.section,
)
Drawn = tuple[Section, list[Markup | None]]  # a section, and the SVG of its parts that are plots


def write_report(
    folder: Path, collection: ImageDataset | None = None, output: Path | None = None, new: NewImages | None = None
) -> Path:
    """Write the report of an evaluated run from the files in its folder; return its path.

    Images come from `collection` or from the data set in the run's settings. With `new`, the report is about these
    images and written next to the files of their evaluation.

    Raises:
        UserError: The folder is not that of an evaluated run, or `output` is a folder.
    """
    path = output or (folder if new is None else new.files) / REPORT
    if path.is_dir():
        raise UserError(f"{path} is a folder: specify a file, for example {path / REPORT}.")
    run = gather(folder, collection, new)
    text = page(run, list(_sections(run)))
    make_folder(path.parent)
    with atomic_write(path) as file:
        file.write(text)
    return path


def _sections(run: EvaluatedRun) -> Iterator[Drawn]:
    with style(), progress_bar("Drawing the report", len(SECTIONS), unit="sections") as bar:
        for place, make in enumerate(SECTIONS):
            if (section := make(run)) is not None:
                yield section, [_drawn(part, f"s{place}p{number}") for number, part in enumerate(section.parts)]
            bar.advance()


def _drawn(part: Any, name: str) -> Markup | None:
    return inline(part, name) if isinstance(part, Plot) else None


def page(run: EvaluatedRun, sections: list[Drawn]) -> str:
    """Return the page as HTML."""
    metrics = run.rows[run.result]
    return (
        templates("lptpp.report")
        .get_template("page.html")
        .render(
            run=run,
            name=run.folder.resolve().name,
            sections=sections,
            tiles=[(name, key, one_decimal(metrics[key])) for key, name in COLUMNS.items() if known(metrics.get(key))],
            untested=[shot for shot in SHOTS if not known(metrics.get(shot))],
            shot_thresholds=describe_shots(run.metrics["shot_thresholds"]),
            colors=COLORS,
            version=version("lptpp"),
        )
    )
