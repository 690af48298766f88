"""The settings and the last checkpoint of a finished run."""

from pathlib import Path

from lptpp.checkpoint.identity import check_saved_settings
from lptpp.checkpoint.sharing import shared_folder, shared_run
from lptpp.checkpoint.store import Checkpoint, latest_checkpoint
from lptpp.config import Settings, run_settings
from lptpp.utils.errors import UserError


def finished_run(run: str | Path) -> tuple[Settings, Checkpoint]:
    """Return the settings and the last checkpoint of a run folder, an exported folder, or hf://owner/name.

    Raises:
        UserError: there is no run, it is not finished, it was changed, or another version of lptpp wrote it.
    """
    if (shared := shared_folder(run)) is not None:
        return shared_run(shared)
    folder = Path(run)
    checkpoint = latest_checkpoint(folder / "checkpoint")
    if checkpoint is None:
        raise UserError(
            f"{folder} contains no trained run: expected a run folder written by `lptpp fit`, such as runs/emoji."
        )
    if not checkpoint.manifest["finished"]:
        stage = checkpoint.manifest["position"]["stage"]
        raise UserError(
            f"The run in {folder} is not finished (it stopped in {stage}): resume it with `lptpp fit {folder}`."
        )
    settings = run_settings(folder)
    check_saved_settings(checkpoint.manifest, settings, folder)
    return settings, checkpoint
