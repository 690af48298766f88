"""The report: one HTML file that needs nothing beside itself."""

from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from lptpp.data.dataset import Collection
from lptpp.data.statistics import describe_shots
from lptpp.evaluation.table import COLUMNS, one_decimal
from lptpp.report.gather import Run, gather
from lptpp.report.section import Plate, Section
from lptpp.report.sections import (
    calibration,
    classes,
    confusions,
    examples,
    groups,
    learning,
    mixture,
    provenance,
    result,
)
from lptpp.report.style import COLORS, style
from lptpp.report.svg import inline
from lptpp.report.text import percent
from lptpp.utils.errors import UserError
from lptpp.utils.io import replacing
from lptpp.utils.progress import progress_bar

REPORT = "report.html"
SECTIONS: tuple[Callable[[Run], Section | None], ...] = (
    result.section,
    classes.section,
    mixture.section,
    groups.section,
    calibration.section,
    confusions.section,
    examples.section,
    learning.section,
    provenance.section,
)
Drawn = tuple[Section, list[Markup | None]]


def write_report(folder: Path, collection: Collection | None = None, output: Path | None = None) -> Path:
    """Write the report of an evaluated run, from the files in its folder; return where it is.

    The pictures are those of `collection`, or of the data that the run's settings name. Raises `UserError` where the
    folder is not that of an evaluated run, or where `output` is a folder.
    """
    path = output or folder / REPORT
    if path.is_dir():
        raise UserError(f"{path} is a folder: give the name of a file, such as {path / REPORT}.")
    run = gather(folder, collection)
    text = page(run, list(_sections(run)))
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as file:
        file.write(text)
    return path


def _sections(run: Run) -> Iterator[Drawn]:
    """Yield every section with the SVG of those of its parts that are figures."""
    with style(), progress_bar("Drawing the report", len(SECTIONS)) as bar:
        for place, make in enumerate(SECTIONS):
            if (section := make(run)) is not None:
                yield section, [_drawn(part, f"s{place}p{number}") for number, part in enumerate(section.parts)]
            bar.advance()


def _drawn(part: Any, name: str) -> Markup | None:
    return inline(part, name) if isinstance(part, Plate) else None


def page(run: Run, sections: list[Drawn]) -> str:
    """Return the page; every text of the run is escaped."""
    loader = PackageLoader("lptpp.report", "templates")
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    metrics = run.metrics["rows"][run.result]
    return environment.get_template("page.html").render(
        run=run,
        name=run.folder.resolve().name,
        sections=sections,
        tiles=[(name, key, one_decimal(metrics.get(key))) for key, name in COLUMNS.items()],
        shot_thresholds=describe_shots(run.shot_thresholds),
        colors=COLORS,
        percent=percent,
        version=version("lptpp"),
    )
