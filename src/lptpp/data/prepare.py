"""The data set of a run: loaded by its settings and cleared of unreadable images."""

import logging
from collections.abc import Mapping
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path

from lptpp.backbones.inputs import preprocessing_of
from lptpp.backbones.preprocessing import Preprocessing
from lptpp.config import Settings
from lptpp.data.check import check_images, check_progress, refuse_unreadable
from lptpp.data.checked import Checked
from lptpp.data.dataset import ImageDataset, Split
from lptpp.data.decode import Decoding
from lptpp.data.sizes import enough
from lptpp.data.sources import read_source
from lptpp.data.sources.passed import NAMED
from lptpp.data.warnings import FILE, data_warnings, details, write_warnings
from lptpp.utils import processes
from lptpp.utils.disk import make_folder
from lptpp.utils.errors import UserError
from lptpp.utils.io import write_csv
from lptpp.utils.text import counted, listed

log = logging.getLogger("lptpp")


def load_dataset(settings: Settings) -> ImageDataset:
    """Return the data set of `settings.data` with all its splits. No image is opened.

    Raises:
        UserError: the files that describe the data set are missing or invalid.
    """
    arguments = asdict(settings.data)
    return read_source(arguments.pop("source"), arguments.pop("validation"), **arguments)


def preprocessings(settings: Settings) -> dict[str, Preprocessing]:
    """Return how the images of a run are resized and normalized, by expert; no weights are loaded.

    Raises:
        UserError: the name of a backbone is unknown.
    """
    found = {}
    for name, expert in settings.experts.items():
        one = expert.backbone
        own = _preprocessing(one.kind, one.name, one.weights, one.image_size)
        found[name] = own.evaluated_by(one.resize, one.crop_share).resizing(settings.data.resize)
    return found


_preprocessing = cache(preprocessing_of)  # building a large model, even without weights, takes a second


def known_preprocessings(settings: Settings) -> dict[str, Preprocessing]:
    """Return `preprocessings`; none, with a warning, if they are unknown: no backbone is needed to inspect images."""
    try:
        return preprocessings(settings)
    except UserError as error:
        log.warning("The size and shape of the model input are unknown: %s", error)
        return {}


def decoding(settings: Settings, inputs: Mapping[str, Preprocessing] | None = None) -> Decoding:
    """Return how every command of a run decodes its images, so that all of them see the same pixels.

    `inputs` is how they are resized, by default `preprocessings`; without any, images are decoded in full.

    Raises:
        UserError: the name of a backbone is unknown.
    """
    inputs = preprocessings(settings) if inputs is None else inputs
    needed = enough(inputs.values(), settings.augmentation.smallest_crop)
    return Decoding(needed, settings.data.largest_megapixels, settings.data.white_level)


def load_whole(settings: Settings) -> ImageDataset:
    """Return every image of the source, in the split in which the source has it: nothing is drawn or left out.

    Raises `UserError` as `load_dataset`.
    """
    arguments = asdict(settings.data) | {"test": 0.0, "factor": 1.0}
    arguments.pop("validation")
    return read_source(arguments.pop("source"), 0.0, **arguments)


def check_dataset(dataset: ImageDataset, settings: Settings, report: Path) -> ImageDataset:
    """Return the data set without unreadable images, which are listed in the CSV file `report`; see `check_splits`.

    Raises:
        UserError: a split that the settings need is missing, or an image was found unreadable and
            `settings.data.on_error` is "stop".
    """
    require_splits(dataset, settings)
    splits = {name: split for name, split in dataset.splits().items() if len(split)}
    return replace(dataset, **check_splits(splits, settings, report))  # type: ignore[arg-type]


def check_splits(
    splits: dict[str, Split], settings: Settings, report: Path, how: Decoding | None = None
) -> dict[str, Split]:
    """Return splits without unreadable images, which are listed in the CSV file `report`.

    With `settings.data.on_error="stop"`, images are checked for a few seconds, and the others as they are used. With
    "skip", all are, once: what is excluded must be known before training. `how` is how images are decoded, by default
    as the settings say.

    Raises:
        UserError: an image was found unreadable and `settings.data.on_error` is "stop".
    """
    how = how or decoding(settings)
    checked = Checked(settings.data.root, how)
    images = sum(len(split) for split in splits.values())
    shared = images if settings.data.on_error == "stop" else -(-images // processes.count())
    with check_progress(shared) as advance:
        if settings.data.on_error == "stop":
            if processes.is_main():
                refuse_unreadable(splits, how, advance, checked)
            return splits
        readable, unreadable = check_images(splits, settings.data.on_error, how, advance, checked)
    if unreadable and processes.is_main():
        names = listed((name for name, _ in unreadable), NAMED)
        log.warning("Skipped %s, listed in %s: %s", counted(len(unreadable), "unreadable image"), report, names)
        make_folder(report.parent)
        write_csv(report, [{"image": name, "reason": reason} for name, reason in unreadable])
    return readable


def reads_names(settings: Settings) -> bool:
    """Return whether an expert has a text tower, which reads the names of the classes."""
    return any(expert.backbone.kind == "language" for expert in settings.experts.values())


def log_warnings(dataset: ImageDataset, settings: Settings) -> None:
    """Log what `lptpp.data.warnings` finds, one line per kind, and write the details to a file in the run folder."""
    folder, warnings = Path(settings.run), data_warnings(dataset, reads_names=reads_names(settings))
    for warning in warnings:
        log.warning("%s", warning)
    if write_warnings(folder / FILE, warnings):
        log.warning("%s", details(folder))


def missing_split(dataset: ImageDataset, settings: Settings) -> str | None:
    """Return why the data set lacks a split that the settings need, or None."""
    try:
        require_splits(dataset, settings)
    except UserError as error:
        return str(error)
    return None


def require_splits(dataset: ImageDataset, settings: Settings) -> None:
    """Raise `UserError` if the data set lacks a split that the settings need."""
    evaluation = settings.evaluation
    _require_split(dataset, evaluation.split, f"evaluation.split={evaluation.split}")
    if evaluation.each_epoch:
        _require_split(dataset, "validation", "evaluation.each_epoch=true")
    if evaluation.keep == "best":
        _require_split(dataset, "validation", "evaluation.keep=best")
    if evaluation.temperature == "fitted":
        _require_split(dataset, "validation", "evaluation.temperature=fitted")


def _require_split(dataset: ImageDataset, split: str, setting: str) -> None:
    if len(dataset.splits().get(split, ())):
        return
    share = _smallest_share(int(dataset.counts().max()))
    if share is None:
        raise UserError(
            f"{setting}: no {split} split can be drawn, because every class has only one training image, and the last"
            f" one is never drawn. Add images, or provide a {split} split."
        )
    raise UserError(
        f"{setting}: the data set has no {split} split; provide one, or start a new run with data.{split}={share},"
        " which draws one from the training split."
    )


def _smallest_share(largest: int) -> float | None:
    """Return a share that draws at least one image of a class of `largest` images, see `stratified_split`."""
    return next((share for share in (0.2, 0.3) if min(largest - 1, round(largest * share)) > 0), None)
