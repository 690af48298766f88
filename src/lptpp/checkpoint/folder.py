"""The settings and the last checkpoint of a finished run."""

from pathlib import Path
from typing import Any

from lptpp.checkpoint.identity import check_saved_settings
from lptpp.checkpoint.sharing import shared_folder, shared_run
from lptpp.checkpoint.store import TUNED, Checkpoint, latest_checkpoint
from lptpp.config import Settings, run_settings
from lptpp.models.mixture import model_fingerprint
from lptpp.utils.errors import UserError
from lptpp.utils.paths import refuse_no_run


def finished_run(run: str | Path) -> tuple[Settings, Checkpoint]:
    """Return the settings and the last checkpoint of a run folder, an exported folder, or hf://owner/name.

    Raises:
        UserError: there is no run, it is not finished, it was changed, or another version of lptpp wrote it.
    """
    shared = shared_folder(run)
    settings, checkpoint = _trained_run(Path(run)) if shared is None else shared_run(shared)
    _check_classes(checkpoint.manifest, run)
    return settings, checkpoint


def recorded_fingerprint(run: str | Path) -> str:
    """Return `Mixture.fingerprint` of a finished run by its files: no backbone is loaded.

    Raises `UserError` as `finished_run`.
    """
    settings, checkpoint = finished_run(run)
    towers = [checkpoint.manifest["fingerprints"][name]["tower"] for name in settings.experts]
    return model_fingerprint(checkpoint.tensors(TUNED), towers)


def _trained_run(folder: Path) -> tuple[Settings, Checkpoint]:
    refuse_no_run(folder)
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


def _check_classes(manifest: dict[str, Any], run: str | Path) -> None:
    """Raise `UserError` unless the classes are distinct names, with a number of training images each."""
    names: Any = manifest.get("class_names")
    counts: Any = manifest.get("counts")
    named = isinstance(names, list) and all(isinstance(name, str) for name in names) and len(set(names)) == len(names)
    counted = isinstance(counts, list) and all(type(count) is int and count >= 0 for count in counts)
    if not (named and counted and len(names) == len(counts) > 0):
        raise UserError(
            f"{run}: expected distinct names of classes with a number of training images each: restore the run from a"
            " copy, or train again in a new run folder."
        )
