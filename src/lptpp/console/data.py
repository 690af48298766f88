"""What the command line prints of a data set."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from rich.console import Console

from lptpp.config import Settings
from lptpp.console.chart import chart
from lptpp.data.inspect import (
    DUPLICATES,
    Inspection,
    Look,
    class_rows,
    duplicate_rows,
    inspect_data,
    picture_rows,
)
from lptpp.data.statistics import shots
from lptpp.evaluation.intervals import few_tested, widest
from lptpp.report.distribution import distribution_figure
from lptpp.report.style import style
from lptpp.utils.io import write_csv, write_json
from lptpp.utils.text import listed

NAMED = 5  # of pictures that are there twice; the files hold all


def show_data(console: Console, settings: Settings, folder: Path, pictures: bool) -> bool:
    """Print a data set's class counts and what is wrong with its pictures, write all of it; return whether it can be
    used as it is.
    """
    inspection = inspect_data(settings, pictures)
    _show_counts(console, inspection)
    _show_trust(console, inspection)
    if inspection.looks:
        _show_sizes(console, inspection)
        _show_repeated(console, inspection)
        _show_faults(console, inspection.faults, settings.data.on_error == "skip")
    before = {path.name for path in folder.glob("*")}
    written = write_inspection(inspection, folder)
    for what, names in (("Wrote", set(written) - before), ("Replaced", before & set(written))):
        if names:
            console.print(f"{what} in {folder}: {', '.join(name for name in written if name in names)}")
    return not inspection.faults or settings.data.on_error == "skip"


def _show_counts(console: Console, inspection: Inspection) -> None:
    found, collection = inspection.summary(), inspection.collection
    console.print(chart(collection.class_names, collection.counts(), inspection.shot_thresholds))
    parts = ", ".join(f"{part} {count:,}" for part, count in found["images"].items())
    console.print(f"{found['classes']:,} classes; images: {parts}")
    console.print(
        f"imbalance factor {found['imbalance_factor']:.1f}, Gini {found['gini']:.2f}; {found['shot_thresholds']}"
    )
    for part in ("training", "test"):
        if empty := found.get(f"without_{part}_images"):
            console.print(f"Without a {part} image: {listed(empty)}")


def _show_trust(console: Console, inspection: Inspection) -> None:
    """Tell how far an accuracy can be trusted where the test part is small."""
    collection = inspection.collection
    if collection.test is None:
        return
    tested = collection.test.counts(len(collection.class_names))
    if not few_tested(tested):
        return
    whole, few = int(tested.sum()), int(tested[shots(collection.counts(), inspection.shot_thresholds) == "few"].sum())
    of_few = f", on the {few:,} of few-shot classes ± {widest(few):.1f}" if 0 < few < whole else ""
    console.print(
        f"The test part is small, {np.median(tested[tested > 0]):g} images of a class on median: an accuracy of 50 % on"
        f" its {whole:,} images means ± {widest(whole):.1f} points{of_few} (95 % intervals by Wilson)."
    )


def _show_sizes(console: Console, inspection: Inspection) -> None:
    found = inspection.summary()["pictures"]
    for kind in ("smallest", "largest"):
        for one in found[kind][:1]:
            console.print(f"{kind.capitalize()} picture: {one['width']:,} × {one['height']:,} pixels, {one['image']}")


def _show_repeated(console: Console, inspection: Inspection) -> None:
    groups, names = inspection.groups, inspection.collection.class_names
    _show_pairs(console, "parts, where the test part tells too much", groups, lambda look: look.part)
    _show_pairs(console, "classes, of which one at most is right", groups, lambda look: names[look.label])
    if groups:
        console.print(f"Pictures that are there more than once: {len(groups):,}, listed in duplicates.csv.")
    else:
        console.print("No picture is there more than once.")


def _show_pairs(console: Console, apart: str, groups: list[list[Look]], place: Callable[[Look], str]) -> None:
    """Print the first groups of the same picture at several places."""
    several = [group for group in groups if len({place(look) for look in group}) > 1]
    if several:
        console.print(f"The same picture in several {apart}: {len(several):,}")
    for one, *others in several[:NAMED]:
        other = next(look for look in others if place(look) != place(one))
        console.print(f"  {one.image} ({place(one)}) = {other.image} ({place(other)})")
    if len(several) > NAMED:
        console.print(f"  and {len(several) - NAMED:,} more")


def _show_faults(console: Console, faults: list[Look], skips: bool) -> None:
    for look in faults:
        console.print(f"{look.image}: {look.problem}")
    message = "fit leaves them out" if skips else "mend or remove them, or leave them out with data.on_error=skip"
    console.print(f"Images that cannot be used: {len(faults):,}; {message}." if faults else "Every image can be read.")


def write_inspection(inspection: Inspection, folder: Path) -> list[str]:
    """Write what was found as a figure and as tables into a folder; return the names of the files."""
    folder.mkdir(parents=True, exist_ok=True)
    _draw(inspection, folder / "distribution.png")
    write_json(folder / "summary.json", inspection.summary())
    write_csv(folder / "classes.csv", class_rows(inspection))
    if not inspection.looks:
        return ["distribution.png", "summary.json", "classes.csv"]
    write_csv(folder / "pictures.csv", picture_rows(inspection))
    write_csv(folder / "duplicates.csv", duplicate_rows(inspection), DUPLICATES)
    return ["distribution.png", "summary.json", "classes.csv", "pictures.csv", "duplicates.csv"]


def _draw(inspection: Inspection, path: Path) -> None:
    with style():
        distribution_figure(inspection.collection.counts(), inspection.shot_thresholds).savefig(path, dpi=200)
