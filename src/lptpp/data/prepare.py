"""The data set of a run: loaded by its settings and cleared of unreadable images."""

import logging
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path

from lptpp.backbones import preprocessing_of
from lptpp.backbones.base import Preprocessing
from lptpp.config import Settings
from lptpp.data.check import check_images, check_progress
from lptpp.data.dataset import ImageDataset
from lptpp.data.decode import Decoding
from lptpp.data.sizes import enough
from lptpp.data.sources import read_source
from lptpp.utils.errors import UserError
from lptpp.utils.io import write_csv

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
    backbones = {name: expert.backbone for name, expert in settings.experts.items()}
    return {
        name: _preprocessing(one.kind, one.name, one.weights, one.image_size).resizing(settings.data.resize)
        for name, one in backbones.items()
    }


_preprocessing = cache(preprocessing_of)  # building a large model, even without weights, takes a second


def decoding(settings: Settings) -> Decoding:
    """Return how every command of a run decodes its images, so that all of them see the same pixels.

    Raises:
        UserError: the name of a backbone is unknown.
    """
    needed = enough(preprocessings(settings).values(), settings.augmentation.smallest_crop)
    return Decoding(needed, settings.data.largest_megapixels, settings.data.white_level)


def check_dataset(dataset: ImageDataset, settings: Settings, report: Path) -> ImageDataset:
    """Return the data set without unreadable images, which are listed in the CSV file `report`.

    Raises:
        UserError: a split that the settings need is missing, or there are unreadable images and
            `settings.data.on_error` is "stop".
    """
    _require_splits(dataset, settings)
    splits = {name: split for name, split in dataset.splits().items() if len(split)}
    with check_progress(sum(len(split) for split in splits.values())) as advance:
        readable, unreadable = check_images(splits, settings.data.on_error, decoding(settings), advance)
    if unreadable:
        log.warning("Skipped %d unreadable image(s), listed in %s.", len(unreadable), report)
        report.parent.mkdir(parents=True, exist_ok=True)
        write_csv(report, [{"image": name, "reason": reason} for name, reason in unreadable])
    return replace(dataset, **readable)  # type: ignore[arg-type]


def _require_splits(dataset: ImageDataset, settings: Settings) -> None:
    evaluation = settings.evaluation
    _require_split(dataset, evaluation.split, f"evaluation.split={evaluation.split}")
    if evaluation.each_epoch:
        _require_split(dataset, "validation", "evaluation.each_epoch=true")
    if evaluation.keep == "best":
        _require_split(dataset, "validation", "evaluation.keep=best")
    if evaluation.temperature == "fitted":
        _require_split(dataset, "validation", "evaluation.temperature=fitted")


def _require_split(dataset: ImageDataset, split: str, setting: str) -> None:
    if not len(dataset.splits().get(split, ())):
        raise UserError(
            f"{setting}: the data set has no {split} split; provide one, or start a new run with"
            f" data.{split}=0.2, which draws one from the training split."
        )
