"""What the terminal shows of a data set, and the files `lptpp data` writes."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
from rich.console import Console

from lptpp.config import DataSettings, Settings
from lptpp.console.chart import chart
from lptpp.data.inspect import (
    DUPLICATES,
    InspectedImage,
    Inspection,
    class_rows,
    duplicate_rows,
    image_rows,
    inspect_data,
)
from lptpp.data.prepare import missing_split
from lptpp.data.seen import median_size, sentences, strip
from lptpp.data.statistics import better_thresholds, shots
from lptpp.data.warnings import FILE, details, write_warnings
from lptpp.evaluation.intervals import few_tested, widest
from lptpp.report.distribution import distribution_figure
from lptpp.report.style import style
from lptpp.utils.disk import atomic_write, make_folder
from lptpp.utils.errors import UserError
from lptpp.utils.io import write_csv, write_json
from lptpp.utils.paths import refuse_special, short_path
from lptpp.utils.text import counted, listed

SHOWN_UNREADABLE = 10  # for each reason; images.csv contains all
SHOWN = 5  # groups of duplicates; duplicates.csv contains all


def show_data(console: Console, settings: Settings, folder: Path, images: bool) -> bool:
    """Print class counts and problems of a data set and write them to `folder`; return whether it can be trained on.

    `images`: also open every image.
    """
    other = check_folder(folder, described(settings.data))
    inspection = inspect_data(settings, images)
    _show_counts(console, inspection)
    for warning in inspection.warnings:
        console.print(str(warning))
    if inspection.warnings:
        console.print(details(folder))
    _show_intervals(console, inspection)
    if inspection.records:
        _show_sizes(console, inspection)
        _show_input(console, inspection)
        _show_duplicates(console, inspection)
        _show_unreadable(console, inspection.unreadable, settings.data.on_error == "skip")
    if problem := missing_split(inspection.dataset, settings):
        console.print(f"fit would stop: {problem}")
    _write_and_show(console, inspection, folder, described(settings.data))
    if other is not None:
        console.print(f"{folder} contained the report of {other}; it was replaced. To keep both, set --output.")
    return not inspection.unreadable or settings.data.on_error == "skip"


def check_folder(folder: Path, data: str) -> str | None:
    """Return what an earlier inspection in a folder is of, if it is not of `data`.

    Raises:
        UserError: the folder has files but no earlier inspection, and is not replaced.
    """
    if not (folder.is_file() or (folder.is_dir() and any(folder.iterdir()))):
        return None
    found = _inspected(folder / "summary.json")
    if found is None:
        raise UserError(f"{folder} exists and is not a report of `lptpp data`: set another folder with --output.")
    return found if found != data else None


def described(data: DataSettings) -> str:
    """Return where the images of a data set are described: its tables or lists, or its folder, or its source."""
    files = [name for name in (data.train_list, data.validation_list, data.test_list) if name is not None]
    local = data.root is not None and Path(data.root).expanduser().is_dir()
    root = str(Path(data.root).expanduser().resolve()) if local and data.root is not None else data.root
    return f"{listed(files)}{f' in {root}' if root else ''}" if files else root or data.source


def _inspected(summary: Path) -> str | None:
    """Return what an inspection is of; None if there is none."""
    refuse_special(summary)
    try:
        found = json.loads(summary.read_text(encoding="utf-8"))
        return str(found["data"]) if "imbalance_factor" in found else None
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None


def _show_counts(console: Console, inspection: Inspection) -> None:
    found, collection = inspection.summary(), inspection.dataset
    console.print("Training images per class")
    console.print(chart(collection.class_names, collection.counts(), inspection.shot_thresholds))
    splits = ", ".join(f"{split} {count:,}" for split, count in found["images"].items())
    console.print(f"{found['classes']:,} classes; images: {splits}")
    imbalance = f"imbalance factor {found['imbalance_factor']:.1f}, Gini coefficient {found['gini']:.2f}"
    console.print(f"{imbalance}; {found['shot_thresholds']}")
    if better := better_thresholds(collection.counts(), inspection.shot_thresholds):
        problem, setting = better
        console.print(f"{problem} To split them into three groups, set {setting}.")


def _show_intervals(console: Console, inspection: Inspection) -> None:
    """Print confidence intervals of accuracies if the test split is small."""
    collection = inspection.dataset
    if collection.test is None:
        return
    tested = collection.test.counts(len(collection.class_names))
    if not few_tested(tested):
        return
    whole, few = int(tested.sum()), int(tested[shots(collection.counts(), inspection.shot_thresholds) == "few"].sum())
    on_few = (
        f", and ± {widest(few):.1f} points on the {counted(few, 'image')} of few-shot classes"
        if 0 < few < whole
        else ""
    )
    median = f"{np.median(tested[tested > 0]):g}"
    images = "image" if median == "1" else "images"
    console.print(
        f"The test split is small (median {median} {images} per class): the 95% interval of an"
        f" accuracy of 50% is ± {widest(whole):.1f} points on its {counted(whole, 'image')}{on_few}."
    )


def _show_sizes(console: Console, inspection: Inspection) -> None:
    found = inspection.summary()["image_check"]
    for kind in ("smallest", "largest"):
        for image in found[kind][:1]:
            size = f"{image['width']:,} × {image['height']:,} pixels"
            console.print(f"{kind.capitalize()} image: {size}, {short_path(image['image'])}")


def _show_input(console: Console, inspection: Inspection) -> None:
    median = median_size((one.width, one.height) for one in inspection.records if not one.problem)
    if median is not None:
        console.print(*sentences(inspection.inputs, median))


def _show_duplicates(console: Console, inspection: Inspection) -> None:
    groups, names = inspection.groups, inspection.dataset.class_names
    _show_across(console, "splits (test accuracy may be overestimated)", groups, lambda record: record.split)
    _show_across(console, "classes (at most one label is correct)", groups, lambda record: names[record.label])
    groups_found = f"Duplicate images: {len(groups):,} {'group' if len(groups) == 1 else 'groups'}, see duplicates.csv."
    console.print(groups_found if groups else "No duplicate images.")


def _show_across(
    console: Console, what: str, groups: list[list[InspectedImage]], place: Callable[[InspectedImage], str]
) -> None:
    """Print the first groups of duplicates that are in several places, such as splits."""
    several = [group for group in groups if len({place(record) for record in group}) > 1]
    if several:
        console.print(f"Duplicate images across {what}: {len(several):,}")
    for first, *others in several[:SHOWN]:
        other = next(record for record in others if place(record) != place(first))
        console.print(f"  {short_path(first.image)} ({place(first)}) = {short_path(other.image)} ({place(other)})")
    if len(several) > SHOWN:
        console.print(f"  … and {len(several) - SHOWN:,} more")


def _show_unreadable(console: Console, faults: list[InspectedImage], skips: bool) -> None:
    seen: Counter[str | None] = Counter()
    for record in faults:
        seen[record.problem] += 1
        if seen[record.problem] <= SHOWN_UNREADABLE:
            console.print(f"{short_path(record.image)}: {record.problem}")
    for problem, number in seen.items():
        if number > SHOWN_UNREADABLE:
            console.print(f"… and {number - SHOWN_UNREADABLE:,} more in images.csv: {problem}")
    if not faults:
        console.print("All images are readable.")
    elif skips:
        console.print(f"Unreadable images: {len(faults):,}; training skips them.")
    else:
        console.print(f"Unreadable images: {len(faults):,}; fix or remove them, or set data.on_error=skip.")


def _write_and_show(console: Console, inspection: Inspection, folder: Path, data: str) -> None:
    before = {path.name for path in folder.glob("*")}
    written = [*write_inspection(inspection, folder, data), *_write_seen(inspection, folder / "seen.png")]
    for what, names in (("Wrote to", set(written) - before), ("Replaced in", before & set(written))):
        if names:
            console.print(f"{what} {folder}: {', '.join(name for name in written if name in names)}")


def write_inspection(inspection: Inspection, folder: Path, data: str) -> list[str]:
    """Write the figure and the tables of an inspection of `data` to a folder; return the file names."""
    make_folder(folder)
    write_json(
        folder / "summary.json", {"data": data} | inspection.summary()
    )  # first: it marks the folder, see `check_folder`
    _draw(inspection, folder / "distribution.png")
    write_csv(folder / "classes.csv", class_rows(inspection))
    written = ["distribution.png", "summary.json", "classes.csv"]
    if write_warnings(folder / FILE, inspection.warnings):
        written.append(FILE)
    if not inspection.records:
        return written
    write_csv(folder / "images.csv", image_rows(inspection))
    write_csv(folder / "duplicates.csv", duplicate_rows(inspection), DUPLICATES)
    return [*written, "images.csv", "duplicates.csv"]


def _write_seen(inspection: Inspection, path: Path) -> list[str]:
    """Write a few training images as the model sees them, if that is known; return the file name."""
    if not inspection.records or not inspection.inputs:
        return []
    picture = strip(inspection.dataset.train.images, inspection.inputs, inspection.decoding)
    if picture is None:
        return []
    with atomic_write(path, "wb") as file:
        picture.save(file, "PNG")
    return [path.name]


def _draw(inspection: Inspection, path: Path) -> None:
    with style(), atomic_write(path, "wb") as file:
        figure = distribution_figure(inspection.dataset.counts(), inspection.shot_thresholds)
        figure.savefig(file, format="png", dpi=200)
