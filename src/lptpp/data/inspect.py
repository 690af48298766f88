"""Inspection of a data set before training: class counts, image sizes, unreadable and duplicate images."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

from PIL import Image

from lptpp.backbones.preprocessing import Preprocessing
from lptpp.config import Settings
from lptpp.data.check import Progress, check_progress, map_in_threads
from lptpp.data.checked import Checked
from lptpp.data.dataset import ImageDataset, ImageReference
from lptpp.data.decode import LIMITED, Decoding, image_size, try_decode
from lptpp.data.prepare import decoding, known_preprocessings, load_dataset, reads_names
from lptpp.data.statistics import shots, summary
from lptpp.data.warnings import DataWarning, data_warnings

SHOWN = 3  # smallest and largest images in the summary
DUPLICATES = ("group", "image", "split", "class", "across_splits", "across_classes")  # columns of `duplicate_rows`


@dataclass(frozen=True, slots=True)
class InspectedImage:
    """What is known of one image; if `problem` says why it cannot be used, size and digest are 0 and None."""

    image: str
    split: str
    label: int
    width: int = 0  # pixels, after the EXIF orientation is applied
    height: int = 0
    digest: bytes | None = None  # equal for equal pixels
    problem: str | None = None


@dataclass(frozen=True)
class Inspection:
    """A data set with the records of its images; without records if no image was opened."""

    dataset: ImageDataset
    shot_thresholds: Sequence[int]
    records: list[InspectedImage]
    groups: list[list[InspectedImage]]  # duplicates, see `find_duplicates`
    inputs: Mapping[str, Preprocessing] = field(default_factory=dict)  # how each expert sees an image, if known
    decoding: Decoding = LIMITED
    reads_names: bool = False  # whether an expert has a text tower

    @property
    def unreadable(self) -> list[InspectedImage]:
        """The images that cannot be used."""
        return [record for record in self.records if record.problem]

    @cached_property
    def warnings(self) -> list[DataWarning]:
        """What a user should know; duplicates are in `groups` if images were opened, else among the warnings."""
        return data_warnings(self.dataset, not self.records, self.reads_names)

    def summary(self) -> dict[str, Any]:
        """Return `lptpp.data.statistics.summary`, with the key `image_check` if images were opened."""
        found = summary(self.dataset, self.shot_thresholds)
        return found | {"image_check": self._image_check()} if self.records else found

    def _image_check(self) -> dict[str, Any]:
        sizes = [{"image": one.image, "width": one.width, "height": one.height} for one in by_size(self.records)]
        return {
            "unreadable": len(self.unreadable),
            "smallest": sizes[:SHOWN],
            "largest": sizes[: -SHOWN - 1 : -1],
            "duplicates": len(self.groups),
            "duplicates_across_splits": sum(map(across_splits, self.groups)),
            "duplicates_across_classes": sum(map(across_classes, self.groups)),
        }


def inspect_data(settings: Settings, open_images: bool = True) -> Inspection:
    """Load the data set of the settings and, with `open_images`, decode every image, which later runs remember.

    Raises:
        UserError: the files that describe the data set are missing or invalid.
    """
    dataset = load_dataset(settings)
    records: list[InspectedImage] = []
    inputs = known_preprocessings(settings) if open_images else {}
    how = decoding(settings, inputs)
    if open_images:
        with check_progress(sum(len(split) for split in dataset.splits().values())) as advance:
            records = inspect_images(dataset, how, advance)
        images = [image for split in dataset.splits().values() for image in split.images]
        Checked(settings.data.root, how).add(images, [record.problem for record in records])
    thresholds, duplicates = settings.evaluation.shot_thresholds, find_duplicates(records)
    return Inspection(dataset, thresholds, records, duplicates, inputs, how, reads_names(settings))


def inspect_images(
    dataset: ImageDataset, how: Decoding = LIMITED, progress: Progress | None = None
) -> list[InspectedImage]:
    """Decode every image, split by split, and return their records; `progress` is called after each."""
    where = [
        (split.name(i), name, int(label), split.images[i])
        for name, split in dataset.splits().items()
        for i, label in enumerate(split.labels)
    ]
    inspect = partial(_size_and_digest, how=how)
    results = map_in_threads(inspect, [image for *_, image in where], progress)
    return [
        InspectedImage(image, split, label, problem=result)
        if isinstance(result, str)
        else InspectedImage(image, split, label, *result)
        for (image, split, label, _), result in zip(where, results, strict=True)
    ]


def find_duplicates(records: Iterable[InspectedImage]) -> list[list[InspectedImage]]:
    """Return the groups of two or more images with equal pixels, in the order of their first images.

    File name, format and metadata do not matter: a PNG and a BMP of one image are duplicates.
    """
    groups: dict[bytes, list[InspectedImage]] = {}
    for record in records:
        if record.digest is not None:
            groups.setdefault(record.digest, []).append(record)
    return [group for group in groups.values() if len(group) > 1]


def across_splits(group: Sequence[InspectedImage]) -> bool:
    """Return whether duplicates are in more than one split, which leaks training images into the test split."""
    return len({record.split for record in group}) > 1


def across_classes(group: Sequence[InspectedImage]) -> bool:
    """Return whether duplicates are in more than one class, so that at most one label is right."""
    return len({record.label for record in group}) > 1


def by_size(records: Iterable[InspectedImage]) -> list[InspectedImage]:
    """Return the readable images, those with the fewest pixels first."""
    return sorted((record for record in records if not record.problem), key=lambda one: one.width * one.height)


def class_rows(inspection: Inspection) -> Iterator[dict[str, Any]]:
    """Yield for each class its name, its shot group, and its images per split."""
    names = inspection.dataset.class_names
    counts = {name: split.counts(len(names)) for name, split in inspection.dataset.splits().items()}
    for label, shot in enumerate(shots(counts["train"], inspection.shot_thresholds)):
        yield {"class": names[label], "shot": str(shot)} | {name: int(found[label]) for name, found in counts.items()}


def image_rows(inspection: Inspection) -> Iterator[dict[str, Any]]:
    """Yield for each image its split, its class, its size in pixels, and why it cannot be used."""
    for record in inspection.records:
        yield {
            "image": record.image,
            "split": record.split,
            "class": inspection.dataset.class_names[record.label],
            "width": record.width or None,
            "height": record.height or None,
            "problem": record.problem,
        }


def duplicate_rows(inspection: Inspection) -> Iterator[dict[str, Any]]:
    """Yield the duplicate images group by group, those across splits first."""
    for number, group in enumerate(sorted(inspection.groups, key=lambda group: not across_splits(group)), 1):
        across = ("yes" if across_splits(group) else "no", "yes" if across_classes(group) else "no")
        for record in group:
            name = inspection.dataset.class_names[record.label]
            yield dict(zip(DUPLICATES, (number, record.image, record.split, name, *across), strict=True))


def _size_and_digest(image: ImageReference, how: Decoding) -> tuple[int, int, bytes] | str:
    decoded = try_decode(image, how)
    if isinstance(decoded, str):
        return decoded
    size = image_size(image) or decoded.size
    return (*size, _digest(decoded, size))


def _digest(image: Image.Image, size: tuple[int, int]) -> bytes:
    digest = hashlib.blake2b(repr(size).encode(), digest_size=16)
    digest.update(image.tobytes())
    return digest.digest()
