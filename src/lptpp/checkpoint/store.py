"""Checkpoints that survive a crash: a folder of safetensors files and a manifest, either complete or absent.

The manifest has the sha256 of every file and of itself. The older of two checkpoints stands in for a damaged one.
"""

import json
import logging
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from lptpp.backbones.weights import check_finite, check_weights
from lptpp.config.run_format import FORMAT, check_format_number
from lptpp.models.mixture import Mixture
from lptpp.utils.digest import DIGEST, file_digest, is_sealed, sealed
from lptpp.utils.disk import remove_partials, writing
from lptpp.utils.errors import UserError

log = logging.getLogger("lptpp")
MANIFEST = "manifest.json"
TUNED = "tuned"
KEPT = 2  # checkpoints, by default


@dataclass(frozen=True)
class Checkpoint:
    """A valid checkpoint folder and the content of its manifest."""

    folder: Path
    manifest: dict[str, Any]

    def tensors(self, name: str) -> dict[str, torch.Tensor]:
        """Return the tensors of one of its files."""
        return load_file(self.folder / f"{name}.safetensors")


class Damaged(Exception):
    """A checkpoint is incomplete or changed; the message is the reason."""


def write_checkpoint(
    root: Path,
    step: int,
    tensors: Mapping[str, Mapping[str, torch.Tensor]],
    manifest: Mapping[str, Any],
    keep: int = KEPT,
) -> Checkpoint:
    """Write `root/step-N` and keep the last `keep`; others are removed once the new one has been read back.

    Files are written to a temporary folder, synced and renamed, the manifest last. N is the first free number from
    `step` on.

    Raises:
        CannotWrite: the disk does not take it; the checkpoints before it are kept.
        UserError: it cannot be read back.
    """
    while (root / f"step-{step}").exists():  # removing it first would leave a moment without a checkpoint
        step += 1
    partial, final = root / f".step-{step}.partial", root / f"step-{step}"
    shutil.rmtree(partial, ignore_errors=True)
    with writing(final):
        try:
            partial.mkdir(parents=True)
            _write_files(partial, tensors, {"format": FORMAT, **manifest, "step": step})
            partial.rename(final)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        _sync(root)
    return _keep_last(root, final, keep)


def latest_checkpoint(root: Path) -> Checkpoint | None:
    """Return the valid checkpoint with the highest step; None if there is no checkpoint at all.

    Raises:
        UserError: all of them are damaged, or another version of lptpp wrote them in another format.
    """
    reasons = list[str]()
    for folder in _newest_first(root):
        try:
            checkpoint = Checkpoint(folder, _valid_manifest(folder))
        except Damaged as reason:
            reasons.append(f"{folder.name}: {reason}")
            continue
        if reasons:
            log.warning("%s: damaged checkpoint (%s). The older %s is used.", root, "; ".join(reasons), folder.name)
        return checkpoint
    if reasons:
        raise UserError(
            f"{root} contains only damaged checkpoints ({'; '.join(reasons)}): restore it from a copy, or delete it to"
            " train from the start."
        )
    return None


def steps(root: Path) -> list[int]:
    """Return the steps of all checkpoints, damaged ones included, the newest first."""
    return [int(folder.name[5:]) for folder in _newest_first(root)]


def remove_leftovers(run: Path) -> None:
    """Remove the incomplete files and checkpoints that killed processes left in a run folder, which must be locked."""
    root = run / "checkpoint"
    for folder in (run, root):
        remove_partials(folder)
    for place in (root, *run.glob("cross_fitting/fold-*")):
        for folder in place.glob(".step-*.partial"):
            shutil.rmtree(folder)


def _write_files(folder: Path, tensors: Mapping[str, Mapping[str, torch.Tensor]], manifest: dict[str, Any]) -> None:
    for name, content in tensors.items():
        save_file(
            {key: value.detach().cpu().contiguous() for key, value in content.items()},
            folder / f"{name}.safetensors",
        )
    files = {path.name: file_digest(path) for path in sorted(folder.iterdir())}
    text = json.dumps(sealed({**manifest, "files": files}), ensure_ascii=False, indent=1)
    (folder / MANIFEST).write_text(text, encoding="utf-8")
    for path in (*folder.iterdir(), folder):
        _sync(path)


def _newest_first(root: Path) -> list[Path]:
    found = [path for path in root.glob("step-*") if re.fullmatch(r"step-\d+", path.name)]
    return sorted(found, key=lambda path: int(path.name[5:]), reverse=True)


def _keep_last(root: Path, newest: Path, keep: int) -> Checkpoint:
    """Read the newest checkpoint back, and remove all but it and the `keep` - 1 valid ones before it."""
    try:
        written = Checkpoint(newest, _valid_manifest(newest))
    except Damaged as reason:
        raise UserError(
            f"Checkpoint {newest} cannot be read back ({reason}): check the disk. The previous checkpoint is kept."
        ) from None
    kept = _last_valid(root, newest, keep)
    for folder in root.glob("step-*"):
        if folder not in kept:
            shutil.rmtree(folder)
    return written


def _last_valid(root: Path, newest: Path, keep: int) -> list[Path]:
    kept = [newest]
    for folder in _newest_first(root):
        if len(kept) < keep and folder != newest and _is_valid(folder):
            kept.append(folder)
    return kept


def _is_valid(folder: Path) -> bool:
    try:
        return bool(_valid_manifest(folder))
    except (Damaged, UserError):
        return False


def _valid_manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest of a checkpoint; raises `Damaged`."""
    manifest = _manifest(folder)
    files = manifest.get("files")
    if not isinstance(files, dict) or f"{TUNED}.safetensors" not in files:
        raise Damaged(f"{MANIFEST} lists no {TUNED}.safetensors")
    for name, digest in files.items():
        if not re.fullmatch(r"\w+\.safetensors", name):
            raise Damaged(f"{MANIFEST} lists {name!r}, expected the name of a .safetensors file next to it")
        try:
            changed = file_digest(folder / name) != digest
        except OSError:
            raise Damaged(f"{name} is missing or cannot be read") from None
        if changed:
            raise Damaged(f"{name} is changed")
    return manifest


def _manifest(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST
    if not path.is_file():
        raise Damaged(f"{MANIFEST} is missing")
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        raise Damaged(f"{MANIFEST} cannot be read") from None
    if not isinstance(manifest, dict):
        raise Damaged(f"{MANIFEST} is changed")
    if (DIGEST not in manifest and "files" in manifest) or is_sealed(manifest):
        check_format_number(folder.parent.parent, manifest)
    if not is_sealed(manifest):
        raise Damaged(f"{MANIFEST} {'is changed' if DIGEST in manifest else 'has no digest'}")
    return manifest


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@torch.no_grad()
def load_tuned(mixture: Mixture, checkpoint: Checkpoint) -> None:
    """Copy the tuned weights of a checkpoint into a mixture.

    Raises:
        UserError: a name or a shape differs, or a weight is not finite.
    """
    given, expected = checkpoint.tensors(TUNED), mixture.tuned_state()
    check_weights(given, expected, str(checkpoint.folder), "model of its settings")
    check_finite(given, str(checkpoint.folder))
    for name, tensor in expected.items():
        tensor.copy_(given[name])
