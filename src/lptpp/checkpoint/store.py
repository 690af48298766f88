"""Checkpoints that survive a crash: a folder of safetensors files and a manifest, either complete or absent."""

import hashlib
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

from lptpp.backbones.weights import check_weights
from lptpp.config.run_format import FORMAT, check_format_number
from lptpp.models.mixture import Mixture
from lptpp.utils.errors import UserError

log = logging.getLogger("lptpp")
MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Checkpoint:
    """A valid checkpoint folder and the content of its manifest."""

    folder: Path
    manifest: dict[str, Any]

    def tensors(self, name: str) -> dict[str, torch.Tensor]:
        """Return the tensors of one of its files."""
        return load_file(self.folder / f"{name}.safetensors")


def write_checkpoint(
    root: Path, step: int, tensors: Mapping[str, Mapping[str, torch.Tensor]], manifest: Mapping[str, Any]
) -> Checkpoint:
    """Write `root/step-N`; older checkpoints are removed only once the new one has been read back and verified.

    Files are written to a temporary folder, synced and renamed, the manifest last. N is the first free number from
    `step` on.

    Raises:
        UserError: the new checkpoint cannot be read back.
    """
    while (root / f"step-{step}").exists():  # removing it first would leave a moment without a checkpoint
        step += 1
    partial, final = root / f".step-{step}.partial", root / f"step-{step}"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    for name, content in tensors.items():
        save_file(
            {key: value.detach().cpu().contiguous() for key, value in content.items()},
            partial / f"{name}.safetensors",
        )
    files = {path.name: _sha256(path) for path in sorted(partial.iterdir())}
    text = json.dumps({"format": FORMAT, **manifest, "step": step, "files": files}, ensure_ascii=False, indent=1)
    (partial / MANIFEST).write_text(text, encoding="utf-8")
    for path in (*partial.iterdir(), partial):
        _sync(path)
    partial.rename(final)
    _sync(root)
    return _keep_only(root, final)


def latest_checkpoint(root: Path) -> Checkpoint | None:
    """Return the valid checkpoint with the highest step; None if there is none.

    Raises:
        UserError: another version of lptpp wrote it in another format.
    """
    found = [path for path in root.glob("step-*") if re.fullmatch(r"step-\d+", path.name)]
    for folder in sorted(found, key=lambda path: int(path.name[5:]), reverse=True):
        manifest = _valid_manifest(folder)
        if manifest is not None:
            return Checkpoint(folder, manifest)
        log.warning("Ignoring checkpoint %s: it is incomplete or damaged.", folder)
    return None


def _keep_only(root: Path, kept: Path) -> Checkpoint:
    manifest = _valid_manifest(kept)
    if manifest is None:
        raise UserError(f"Checkpoint {kept} cannot be read back: check the disk. The previous checkpoint is kept.")
    for folder in root.glob("step-*"):
        if folder != kept:
            shutil.rmtree(folder)
    return Checkpoint(kept, manifest)


def _valid_manifest(folder: Path) -> dict[str, Any] | None:
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        whole = all(_sha256(folder / name) == digest for name, digest in manifest["files"].items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    if whole:
        check_format_number(folder.parent.parent, manifest)
    return manifest if whole else None


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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
        UserError: a name or a shape differs.
    """
    given, expected = checkpoint.tensors("tuned"), mixture.tuned_state()
    check_weights(given, expected, str(checkpoint.folder), "model of its settings")
    for name, tensor in expected.items():
        tensor.copy_(given[name])
