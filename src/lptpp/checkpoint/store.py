"""Checkpoints that survive a crash: a folder of safetensors files and a manifest, complete or not there at all."""

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

from lptpp.models.mixture import Mixture
from lptpp.utils.errors import UserError

log = logging.getLogger("lptpp")
SCHEMA = 1
MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Checkpoint:
    """A valid checkpoint folder and what its manifest says."""

    folder: Path
    manifest: dict[str, Any]

    def tensors(self, name: str) -> dict[str, torch.Tensor]:
        """Return the tensors of one of its files."""
        return load_file(self.folder / f"{name}.safetensors")


def write_checkpoint(
    root: Path, step: int, tensors: Mapping[str, Mapping[str, torch.Tensor]], manifest: Mapping[str, Any]
) -> Checkpoint:
    """Write `root/step-N`; older checkpoints go only after the new one has been read back and found whole.

    Files are written beside, synced, and renamed, the manifest last. N is the first free number from `step` on.
    """
    while (root / f"step-{step}").exists():  # to make room for the new one would leave a moment without any
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
    text = json.dumps({"schema": SCHEMA, **manifest, "step": step, "files": files}, ensure_ascii=False, indent=1)
    (partial / MANIFEST).write_text(text, encoding="utf-8")
    for path in (*partial.iterdir(), partial):
        _sync(path)
    partial.rename(final)
    _sync(root)
    return _keep_only(root, final)


def latest_checkpoint(root: Path) -> Checkpoint | None:
    """Return the valid checkpoint of the highest step; a folder without a valid manifest does not exist."""
    found = [path for path in root.glob("step-*") if re.fullmatch(r"step-\d+", path.name)]
    for folder in sorted(found, key=lambda path: int(path.name[5:]), reverse=True):
        manifest = _valid_manifest(folder)
        if manifest is not None:
            return Checkpoint(folder, manifest)
        log.warning("%s is incomplete or damaged: passed over.", folder)
    return None


def _keep_only(root: Path, kept: Path) -> Checkpoint:
    manifest = _valid_manifest(kept)
    if manifest is None:
        raise UserError(f"Checkpoint {kept} cannot be read back after writing: check the disk; the older one is kept.")
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
    if whole and manifest.get("schema") != SCHEMA:
        raise UserError(
            f"Checkpoint {folder} has schema {manifest.get('schema')} and this version of lptpp reads {SCHEMA}:"
            " use the version that wrote it."
        )
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
    """Copy every tuned weight of a checkpoint; `UserError` unless names and shapes all fit."""
    given, expected = checkpoint.tensors("tuned"), mixture.tuned_state()
    for name in sorted(given.keys() | expected.keys()):
        if name not in given or name not in expected or given[name].shape != expected[name].shape:
            raise UserError(
                f"{checkpoint.folder} does not fit its settings: weight {name} is missing, extra or of another size."
            )
    for name, tensor in expected.items():
        tensor.copy_(given[name])
