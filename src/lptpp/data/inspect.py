"""A data set looked at before training: how long its tail is, and what is wrong with its pictures."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from PIL import Image

from lptpp.config import Settings
from lptpp.data.cache import Progress, in_threads
from lptpp.data.dataset import Collection, ImageReference
from lptpp.data.decode import LARGEST_MEGAPIXELS, examine
from lptpp.data.prepare import collection_of, fault_progress
from lptpp.data.statistics import shots, summary


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen of one picture; size and digest are 0 and None where `problem` says why it cannot be used."""

    image: str
    part: str
    label: int
    width: int = 0  # in pixels, upright
    height: int = 0
    digest: bytes | None = None  # the same for pictures of the same pixels
    problem: str | None = None


def survey(
    collection: Collection, largest_megapixels: float = LARGEST_MEGAPIXELS, progress: Progress | None = None
) -> list[Look]:
    """Return a look at every picture, part by part; `progress` is told after each."""
    where = [
        (split.name(i), part, int(label), split.images[i])
        for part, split in collection.parts().items()
        for i, label in enumerate(split.labels)
    ]
    found = in_threads(partial(_seen, largest_megapixels=largest_megapixels), [image for *_, image in where], progress)
    return [
        Look(name, part, label, problem=seen) if isinstance(seen, str) else Look(name, part, label, *seen)
        for (name, part, label, _), seen in zip(where, found, strict=True)
    ]


def repeated(looks: Iterable[Look]) -> list[list[Look]]:
    """Return the groups of two or more pictures with the same pixels, in the order of their first pictures.

    The same bytes are the same pixels; so are a PNG and a BMP of one picture, or two files that differ in EXIF alone.
    """
    groups: dict[bytes, list[Look]] = {}
    for look in looks:
        if look.digest is not None:
            groups.setdefault(look.digest, []).append(look)
    return [group for group in groups.values() if len(group) > 1]


def across_parts(group: Sequence[Look]) -> bool:
    """Return whether a group of the same pictures is in more than one part: the test part then tells too much."""
    return len({look.part for look in group}) > 1


def across_classes(group: Sequence[Look]) -> bool:
    """Return whether a group of the same pictures is in more than one class: one label at most is right."""
    return len({look.label for look in group}) > 1


def by_size(looks: Iterable[Look]) -> list[Look]:
    """Return the pictures that can be used, those of the fewest pixels first."""
    return sorted((look for look in looks if not look.problem), key=lambda look: look.width * look.height)


def _seen(image: ImageReference, largest_megapixels: float) -> tuple[int, int, bytes] | str:
    found = examine(image, largest_megapixels)
    return found if isinstance(found, str) else (found.width, found.height, _digest(found))


def _digest(picture: Image.Image) -> bytes:
    digest = hashlib.blake2b(repr(picture.size).encode(), digest_size=16)
    digest.update(picture.tobytes())
    return digest.digest()


SHOWN = 3  # smallest and largest pictures that are named
DUPLICATES = ("group", "image", "part", "class", "across_parts", "across_classes")  # columns, though nothing be found


@dataclass(frozen=True)
class Inspection:
    """What is known of a data set; `looks` is empty where no picture was opened."""

    collection: Collection
    shot_thresholds: tuple[int, int]
    looks: list[Look]
    groups: list[list[Look]]  # of the same picture

    @property
    def faults(self) -> list[Look]:
        """The pictures that cannot be used."""
        return [look for look in self.looks if look.problem]

    def summary(self) -> dict[str, Any]:
        """Return `lptpp.data.statistics.summary`; where pictures were opened also pictures: what they are like."""
        found = summary(self.collection, self.shot_thresholds)
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
    low, high = settings.evaluation.shot_thresholds
    return Inspection(collection, (low, high), looks, repeated(looks))


def class_rows(inspection: Inspection) -> Iterator[dict[str, Any]]:
    """Yield for each class its name, its shot, and its images in every part."""
    names = inspection.collection.class_names
    parts = {part: split.counts(len(names)) for part, split in inspection.collection.parts().items()}
    for label, shot in enumerate(shots(parts["train"], inspection.shot_thresholds)):
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
