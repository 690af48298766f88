"""A data set looked at before training: how long its tail is, and what is wrong with its pictures."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lptpp.config import Settings
from lptpp.data.collection import Collection
from lptpp.data.statistics import shots, summary
from lptpp.data.survey import Look, across_classes, across_parts, by_size, repeated, survey
from lptpp.prepare import collection_of, fault_progress
from lptpp.writing import write_csv, write_json

SHOWN = 3  # smallest and largest pictures that are named
DUPLICATES = ("group", "image", "part", "class", "across_parts", "across_classes")  # columns, though nothing be found


@dataclass(frozen=True)
class Inspection:
    """What is known of a data set; `looks` is empty where no picture was opened."""

    collection: Collection
    borders: tuple[int, int]
    looks: list[Look]
    groups: list[list[Look]]  # of the same picture

    @property
    def faults(self) -> list[Look]:
        """The pictures that cannot be used."""
        return [look for look in self.looks if look.problem]

    def summary(self) -> dict[str, Any]:
        """Return `lptpp.data.statistics.summary`; where pictures were opened also pictures: what they are like."""
        found = summary(self.collection, self.borders)
        return found | {"pictures": self._pictures()} if self.looks else found

    def _pictures(self) -> dict[str, Any]:
        sized = [{"image": look.image, "width": look.width, "height": look.height} for look in by_size(self.looks)]
        return {
            "unreadable": len(self.faults),
            "smallest": sized[:SHOWN],
            "largest": sized[: -SHOWN - 1 : -1],
            "repeated": len(self.groups),
            "repeated_across_parts": sum(map(across_parts, self.groups)),
            "repeated_across_classes": sum(map(across_classes, self.groups)),
        }


def inspect_data(settings: Settings, pictures: bool = True) -> Inspection:
    """Load the data set that the settings name and, if `pictures`, look at each of them.

    Raises `UserError` for whatever is wrong with the files that describe it.
    """
    collection = collection_of(settings)
    looks: list[Look] = []
    if pictures:
        with fault_progress(sum(len(part) for part in collection.parts().values())) as advance:
            looks = survey(collection, settings.data.largest_megapixels, advance)
    low, high = settings.evaluation.borders
    return Inspection(collection, (low, high), looks, repeated(looks))


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


def class_rows(inspection: Inspection) -> Iterator[dict[str, Any]]:
    """Yield for each class its name, its shot, and its images in every part."""
    names = inspection.collection.class_names
    parts = {part: split.counts(len(names)) for part, split in inspection.collection.parts().items()}
    for label, shot in enumerate(shots(parts["train"], inspection.borders)):
        yield {"class": names[label], "shot": str(shot)} | {part: int(found[label]) for part, found in parts.items()}


def picture_rows(inspection: Inspection) -> Iterator[dict[str, Any]]:
    """Yield for each picture where it belongs, its size in pixels, and what is wrong with it."""
    for look in inspection.looks:
        yield {
            "image": look.image,
            "part": look.part,
            "class": inspection.collection.class_names[look.label],
            "width": look.width or None,
            "height": look.height or None,
            "problem": look.problem,
        }


def duplicate_rows(inspection: Inspection) -> Iterator[dict[str, Any]]:
    """Yield the pictures that are there more than once, group by group, those in several parts first."""
    for number, group in enumerate(sorted(inspection.groups, key=lambda group: not across_parts(group)), 1):
        for look in group:
            name = inspection.collection.class_names[look.label]
            apart = ("yes" if across_parts(group) else "no", "yes" if across_classes(group) else "no")
            yield dict(zip(DUPLICATES, (number, look.image, look.part, name, *apart), strict=True))


def _draw(inspection: Inspection, path: Path) -> None:
    from lptpp.reporting.distribution import distribution_figure
    from lptpp.reporting.style import style

    with style():
        distribution_figure(inspection.collection.counts(), inspection.borders).savefig(path, dpi=200)
