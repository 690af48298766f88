"""The data set of a run: loaded by its settings and cleared of unreadable images."""

import logging
from dataclasses import asdict, replace
from pathlib import Path

from lptpp.config import Settings
from lptpp.data.check import check_images, check_progress
from lptpp.data.dataset import ImageDataset
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


def check_dataset(dataset: ImageDataset, settings: Settings, report: Path) -> ImageDataset:
    """Return the data set without unreadable images, which are listed in the CSV file `report`.

    Raises:
        UserError: a split that the settings need is missing, or there are unreadable images and
            `settings.data.on_error` is "stop".
    """
    _require_splits(dataset, settings)
    splits = {name: split for name, split in dataset.splits().items() if len(split)}
    with check_progress(sum(len(split) for split in splits.values())) as advance:
        readable, unreadable = check_images(splits, settings.data.on_error, settings.data.largest_megapixels, advance)
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
