"""A look at every picture of a data set: can it be used, how large is it, is it there more than once."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from PIL import Image

from lptpp.data.collection import Collection, ImageReference
from lptpp.data.images import LARGEST_MEGAPIXELS, examine
from lptpp.data.threads import Progress, in_threads


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
