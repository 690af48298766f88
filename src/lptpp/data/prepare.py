"""The data of a run: loaded, checked picture by picture, and cleared of what cannot be read."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path

from lptpp.config import Settings
from lptpp.data.cache import check
from lptpp.data.dataset import Collection
from lptpp.data.sources import load_collection
from lptpp.utils.errors import UserError
from lptpp.utils.io import write_csv
from lptpp.utils.progress import progress_bar

log = logging.getLogger("lptpp")


def collection_of(settings: Settings) -> Collection:
    """Return the data set that the settings name, with its parts drawn; no picture is opened yet.

    Raises `UserError` for whatever is wrong with its files.
    """
    arguments = asdict(settings.data)
    return load_collection(arguments.pop("source"), arguments.pop("validation"), **arguments)


def checked(collection: Collection, settings: Settings, report: Path) -> Collection:
    """Return the collection without unreadable pictures; they stop the run, or are listed in the file `report`.

    Raises `UserError` that names all of them where `data.on_error` is stop, or where there is no part to evaluate on.
    """
    _check_split(collection, settings.evaluation.split, f"evaluation.split={settings.evaluation.split}")
    if settings.evaluation.each_epoch:
        _check_split(collection, "validation", "evaluation.each_epoch=true")
    if settings.evaluation.temperature == "fitted":
        _check_split(collection, "validation", "evaluation.temperature=fitted")
    parts = {name: part for name, part in collection.parts().items() if len(part)}
    with fault_progress(sum(len(part) for part in parts.values())) as advance:
        good, faults = check(parts, settings.data.on_error, settings.data.largest_megapixels, advance)
    if faults:
        log.warning("%d unreadable picture(s) are left out: see %s.", len(faults), report)
        report.parent.mkdir(parents=True, exist_ok=True)
        write_csv(report, [{"image": name, "reason": reason} for name, reason in faults])
    return replace(collection, **good)  # type: ignore[arg-type]


def _check_split(collection: Collection, split: str, wanted_by: str) -> None:
    if not len(collection.parts().get(split, ())):
        raise UserError(f"{wanted_by}: the data hold no {split} part; give one, or draw it by data.{split}=0.2.")


@contextmanager
def fault_progress(total: int) -> Iterator[Callable[[int, int], None]]:
    """Show the progress of looking at every picture."""
    with progress_bar("Checking the pictures", total) as bar:
        yield lambda done, total: bar.advance()
