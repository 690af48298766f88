"""TensorBoard and Weights & Biases, through accelerate's trackers, each kept in the run folder (docs/tracking.md)."""

import logging
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from accelerate.tracking import GeneralTracker, TensorBoardTracker, WandBTracker

from lptpp.utils.errors import UserError
from lptpp.utils.extras import extra

log = logging.getLogger("lptpp")
MARKS = {"tensorboard": "tensorboard", "wandb": "wandb/run_id"}  # what a run has of a tracker it knows


def check_tracker(name: str) -> None:
    """Raise `UserError` where the library of a tracker is not installed."""
    if name != "none":
        extra(name, name, f"tracker={name}")


def open_tracker(name: str, run: Path, settings: Mapping[str, Any]) -> tuple[GeneralTracker | None, bool]:
    """Return the tracker of a run, None for none, and whether it is new to the run; `settings` are those to show.

    Raises `UserError` where its library is missing or does not start.
    """
    check_tracker(name)
    if name == "none":
        return None, False
    new = not (run / MARKS[name]).exists()
    tracker = _tensorboard(run) if name == "tensorboard" else _wandb(run)
    if new:
        tracker.store_init_configuration({key: _shown(value) for key, value in settings.items()})
    return tracker, new


def _tensorboard(run: Path) -> GeneralTracker:
    tracker = TensorBoardTracker("tensorboard", logging_dir=str(run))
    tracker.start()
    return tracker


def _wandb(run: Path) -> GeneralTracker:
    wandb = extra("wandb", "wandb", "tracker=wandb")
    os.environ.setdefault("WANDB_DISABLE_WEAVE", "true")  # it would advertise another product
    quiet = wandb.Settings(silent=True, console="off")  # log.txt holds what the terminal shows
    mark = run / MARKS["wandb"]
    known_as = mark.read_text(encoding="utf-8").strip() if mark.is_file() else secrets.token_hex(4)
    options = {"name": run.name, "dir": str(run), "id": known_as, "resume": "allow"}
    tracker = WandBTracker(os.environ.get("WANDB_PROJECT", "lptpp"), **options, settings=quiet)
    try:
        tracker.start()
    except wandb.errors.Error as error:
        reason = " ".join(str(error).split())[:160]
        raise UserError(
            f"tracker=wandb did not start ({reason}): log in with `wandb login`, or set WANDB_MODE=offline."
        ) from error
    mark.write_text(known_as, encoding="utf-8")  # by this it goes on as the same run
    place = f"upload it by `wandb sync {tracker.run.settings.sync_dir}`" if tracker.run.offline else tracker.run.url
    log.info("Tracked by Weights & Biases: %s", place)
    return tracker


def _shown(value: Any) -> Any:
    return value if isinstance(value, bool | int | float | str) else str(value)
