"""A model in a Hugging Face folder: its files, and how it is read again, from a disk or from the hub."""

import json
import re
from pathlib import Path
from typing import Any

import torch

from lptpp.backbones.weights import read_weights
from lptpp.checkpoint.store import Checkpoint
from lptpp.config import Settings, saved_settings
from lptpp.utils.errors import UserError
from lptpp.utils.extras import extra

SCHEMA = 1
WEIGHTS = "model.safetensors"
FILES = ["README.md", "config.json", "config.yaml", "metrics.json", "*.safetensors"]
AT_HUB = re.compile(r"hf:/{1,2}([\w.-]+/[\w.-]+)(?:@([\w./-]+))?")  # one slash where a Path has swallowed the other


class SharedCheckpoint(Checkpoint):
    """The weights and the facts of a shared model, as a run's checkpoint gives its own."""

    def tensors(self, name: str) -> dict[str, torch.Tensor]:
        """Return the tuned weights."""
        assert name == "tuned"
        return read_weights(self.folder / WEIGHTS)


def shared_folder(run: str | Path) -> Path | None:
    """Return the folder of a shared model, fetched where `run` is hf://owner/name; None for anything else.

    Raises `UserError` where it cannot be fetched.
    """
    if str(run).startswith("hf:"):
        return _fetched(str(run))
    return Path(run) if (Path(run) / WEIGHTS).is_file() else None


def shared_run(folder: Path) -> tuple[Settings, Checkpoint]:
    """Return the settings and the weights of a shared model.

    Raises `UserError` for a folder that is damaged or was not written by `lptpp export`.
    """
    if not (folder / "config.yaml").is_file():
        raise UserError(f"{folder} holds no config.yaml: it is not a folder that `lptpp export` wrote.")
    settings = saved_settings(folder / "config.yaml", [f"run={folder}"])
    for expert in settings.experts.values():
        own = folder / Path(expert.backbone.weights or "none").name
        if own.suffix == ".safetensors" and own.is_file():
            expert.backbone.weights = str(own)
    return settings, SharedCheckpoint(folder, _facts(folder / "config.json"))


def _facts(path: Path) -> dict[str, Any]:
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        schema = facts["lptpp_schema"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} is missing or not one that `lptpp export` wrote: fetch or write it again.") from error
    if schema != SCHEMA:
        raise UserError(f"{path} has schema {schema} and this version of lptpp reads {SCHEMA}: take the one it names.")
    return facts


def _fetched(name: str) -> Path:
    match = AT_HUB.fullmatch(name)
    if match is None:
        raise UserError(f"{name} is not of the form hf://owner/name or hf://owner/name@revision.")
    hub = extra("huggingface_hub", "hub", name)
    repository, revision = match.groups()
    try:
        return Path(hub.snapshot_download(repository, revision=revision, allow_patterns=FILES))
    except Exception as error:  # the hub's errors, the network's, the disk's
        reason = " ".join(str(error).split())[:160]
        raise UserError(
            f"hf://{repository} could not be fetched ({type(error).__name__}: {reason}): check the name and the"
            " network, and for a private model log in with `hf auth login`."
        ) from error
