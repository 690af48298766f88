"""The data set of a run: recorded when training starts, then the same images in the same splits, or an error."""

import logging
import os
from array import array
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lptpp.checkpoint.listing import Listing, make_record
from lptpp.checkpoint.record import (
    DIGESTS,
    SPLITS,
    ImageRecord,
    packed,
    read_record,
    read_stamps,
    write_record,
    write_stamps,
)
from lptpp.checkpoint.store import Checkpoint, latest_checkpoint
from lptpp.config import Settings
from lptpp.data.content import MISSING, UNKNOWN, digests_of
from lptpp.data.dataset import ImageDataset, Split, taken
from lptpp.data.prepare import load_whole, require_splits
from lptpp.utils import processes
from lptpp.utils.errors import UserError
from lptpp.utils.text import listed

log = logging.getLogger("lptpp")
SHOWN = 3  # images named in an error message
END: tuple[int, None] = -1, None


class Differences(NamedTuple):
    """What distinguishes the images of a source from those of a record."""

    added: list[str]
    missing: list[str]
    changed: list[str]

    def __str__(self) -> str:
        kinds = zip(self._fields, self, strict=True)
        return "; ".join(f"{len(names):,} {kind}: {listed(sorted(names), SHOWN)}" for kind, names in kinds if names)


class Matched(NamedTuple):
    """The rows of a record and of a listing that have the same name, (k,) int64 each, and the other names."""

    record: np.ndarray
    listing: np.ndarray
    missing: list[str]
    added: list[str]


def record_images(settings: Settings, collection: ImageDataset) -> None:
    """Write the record of a new run's data set to its run folder; `BackgroundDigests` adds the contents.

    Raises:
        UserError: the images changed since `collection` was loaded.
    """
    record, stamps = _record(settings, collection)
    root = Path(settings.run) / "checkpoint"
    write_record(root, record)
    (root / DIGESTS).unlink(missing_ok=True)  # of a start that was interrupted
    write_stamps(root, stamps, _folder(settings))


def _record(settings: Settings, collection: ImageDataset) -> tuple[ImageRecord, np.ndarray]:
    """Return the record and the stamps of a new run's data set; the listing is not kept while they are written."""
    listing = Listing.of(load_whole(settings), collection.class_names, settings.data.root)
    return make_record(listing, collection, settings.data.root)


def run_dataset(settings: Settings, checkpoint: Checkpoint | None = None) -> ImageDataset:
    """Return the data set of a run, with the splits that the run began with; a file is read only if its stamp changed.

    `checkpoint` is the last one of the run folder, read if not given.

    Raises:
        UserError: an image was added, removed or changed, or the run folder has no record of its images.
    """
    folder = Path(settings.run)
    checkpoint = checkpoint or latest_checkpoint(folder / "checkpoint")
    if checkpoint is None:
        raise UserError(f"{folder} does not record which images it was trained on.")
    root, class_names = folder / "checkpoint", checkpoint.manifest["class_names"]
    record = read_record(root, checkpoint.manifest["images"])
    whole = load_whole(settings)
    listing = Listing.of(whole, class_names, settings.data.root)
    matched = match(record, listing)
    known = read_stamps(root, len(record.used()), _folder(settings))
    differences, stamps = _compare(record, listing, matched, known)
    if any(differences):
        finished = checkpoint.manifest["finished"]
        anew = _drawn_anew(record, settings.evaluation.split, finished)
        raise UserError(f"{_refusal(folder, differences, finished)}{anew}")
    _check_classes(whole.class_names, class_names, folder)
    if processes.is_main() and (known is None or not np.array_equal(stamps, known)):
        _renew_stamps(root, stamps, _folder(settings))
    collection = _collection(record, listing, matched, class_names)
    require_splits(collection, settings)
    return collection


def match(record: ImageRecord, listing: Listing) -> Matched:
    """Pair the rows of equal names, which are sorted in both, in one pass."""
    text, lengths = packed(listing.names)
    if np.array_equal(lengths, record.lengths) and np.array_equal(text, record.text):
        same = np.arange(len(lengths))
        return Matched(same, same, [], [])
    rows, others, missing, added = array("q"), array("q"), list[str](), list[str]()
    here = enumerate(listing.names)
    j, there = next(here, END)
    for i, name in enumerate(record.names()):
        while there is not None and there < name:
            added.append(there)
            j, there = next(here, END)
        if there == name:
            rows.append(i)
            others.append(j)
            j, there = next(here, END)
        else:
            missing.append(name)
    added += [] if there is None else [there, *(name for _, name in here)]
    return Matched(np.array(rows, dtype=np.int64), np.array(others, dtype=np.int64), missing, added)


def _compare(
    record: ImageRecord, listing: Listing, matched: Matched, known: np.ndarray | None
) -> tuple[Differences, np.ndarray]:
    """Return what differs, and the stamps of the used images, (m, 2); reads images whose stamp is not `known`."""
    place = np.full(len(record.labels), -1)  # row of the listing by row of the record
    place[matched.record] = matched.listing
    used = record.used()
    known = np.tile(np.array(UNKNOWN), (len(used), 1)) if known is None else known
    here = place[used] >= 0
    rows, others = used[here], place[used[here]]
    stamps = listing.stamps(others)
    gone = (stamps == MISSING).all(1)
    read = ((stamps != known[here]).any(1) | (stamps == UNKNOWN).all(1)) & ~gone
    digests = digests_of([listing.images[j] for j in others[read].tolist()], "Comparing changed images")
    recorded = record.digests[rows[read]]
    unknown = ~recorded.any(1) & (known[here][read] == UNKNOWN).all(1)  # not read yet, and no stamp says it changed
    altered = others[read][(digests != recorded).any(1) & ~unknown].tolist()
    changed = {j: listing.names[j] for j in altered} | _relabeled(record, listing, matched)
    lost = [listing.names[j] for j in others[gone].tolist()]
    return Differences(matched.added, matched.missing + lost, list(changed.values())), stamps


def _renew_stamps(root: Path, stamps: np.ndarray, folder: str) -> None:
    try:
        write_stamps(root, stamps, folder)
    except OSError as error:
        log.warning("%s cannot be written (%s); the images will be read again next time.", root, error.strerror)


def _relabeled(record: ImageRecord, listing: Listing, matched: Matched) -> dict[int, str]:
    """Return a description of each image whose class or split differs, by its row in the listing."""
    lines = {}
    labels = record.labels[matched.record] != listing.labels[matched.listing]
    splits = record.source_splits[matched.record] != listing.splits[matched.listing]
    for k in np.flatnonzero(labels | splits).tolist():
        row = int(matched.listing[k])
        now = listing.class_names[listing.own_labels[row]] if labels[k] else f"in {SPLITS[listing.splits[row]]}"
        lines[row] = f"{listing.names[row]} (now {now})"
    return lines


def _refusal(folder: Path, differences: Differences, finished: bool) -> str:
    new = f"; to evaluate the run on new labeled images, use `lptpp evaluate {folder} --on FOLDER`" if finished else ""
    return (
        f"{folder} was trained on other images than those here now ({differences}). Restore the files{new}; to train on"
        " what is here, set another run=FOLDER."
    )


def _drawn_anew(record: ImageRecord, split: str, finished: bool) -> str:
    """Return a sentence if a new run would draw the evaluated split from the changed images, else nothing."""
    if not record.is_drawn(split):
        return ""
    where = " (predictions.csv lists them)" if finished else ""
    return (
        f" That run draws its {split} split anew from the changed images, so its accuracy is not on the same images as"
        f" before. To keep the {split} images fixed{where}, move them to a folder {split}/ next to train/, or list them"
        f" in a file of their own (data.{split}_list)."
    )


def _check_classes(now: list[str], before: list[str], folder: Path) -> None:
    """Raise `UserError` if classes without an image differ; all others are those of their images."""
    different = sorted(set(now) ^ set(before))
    if different:
        raise UserError(
            f"{folder} was trained on other classes than those here now: {listed(different)} is in only one of them."
            " Restore the class names, or set another run=FOLDER."
        )


def _collection(record: ImageRecord, listing: Listing, matched: Matched, class_names: list[str]) -> ImageDataset:
    """Return the images of the listing in the splits of the record, in their order."""
    parts: dict[str, Split] = {}
    for number, name in enumerate(SPLITS):
        mine = np.flatnonzero(record.splits[matched.record] == number)
        mine = mine[np.argsort(record.places[matched.record[mine]])]
        images = taken(listing.images, matched.listing[mine])
        parts[name] = Split(images, record.labels[matched.record[mine]])
    validation, test = (parts[name] if len(parts[name]) else None for name in ("validation", "test"))
    return ImageDataset(class_names, parts["train"], validation, test)


def _folder(settings: Settings) -> str:
    return os.path.realpath(settings.data.root or ".")
