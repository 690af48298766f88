"""Exported Hugging Face folders: their files, and how they are read from disk or from the hub."""

import json
import re
from pathlib import Path
from typing import Any

import torch

from lptpp.backbones.weights import read_weights
from lptpp.checkpoint.store import Checkpoint
from lptpp.config import Settings, saved_settings
from lptpp.config.run_format import check_format_number
from lptpp.utils.digest import file_digest, is_sealed
from lptpp.utils.disk import CannotWrite, writing
from lptpp.utils.errors import UserError
from lptpp.utils.extras import extra

FORMAT_KEY = "lptpp_format"
WEIGHTS = "model.safetensors"
FACTS_FILE = "config.json"  # with the digests of itself and of all other files but the model card
FILES = ["README.md", "config.json", "config.yaml", "metrics.json", "*.safetensors"]
AT_HUB = re.compile(r"hf:/{1,2}([\w.-]+/[\w.-]+)(?:@([\w./-]+))?")  # a Path keeps only one of the two slashes


class SharedCheckpoint(Checkpoint):
    """The weights and facts of an exported model, in the form of a run's checkpoint."""

    def tensors(self, name: str) -> dict[str, torch.Tensor]:
        """Return the tuned weights."""
        assert name == "tuned"
        return read_weights(self.folder / WEIGHTS)


def shared_folder(run: str | Path) -> Path | None:
    """Return the folder of an exported model, downloaded if `run` is hf://owner/name; None for anything else.

    Raises:
        UserError: the download fails.
    """
    if str(run).startswith("hf:"):
        return _fetched(str(run))
    return Path(run) if (Path(run) / WEIGHTS).is_file() else None


def shared_run(folder: Path) -> tuple[Settings, Checkpoint]:
    """Return the settings and the weights of an exported model.

    Raises:
        UserError: the folder is damaged, or `lptpp export` of this format did not write it.
    """
    if not (folder / "config.yaml").is_file():
        raise UserError(f"{folder} contains no config.yaml: expected a folder written by `lptpp export`.")
    facts = _facts(folder)
    settings = saved_settings(folder / "config.yaml", [f"run={folder}"])
    for expert in settings.experts.values():
        own = folder / Path(expert.backbone.weights or "none").name
        if own.suffix == ".safetensors" and own.is_file():
            expert.backbone.weights = str(own)
    return settings, SharedCheckpoint(folder, facts)


def _facts(folder: Path) -> dict[str, Any]:
    path = folder / FACTS_FILE
    try:
        if not path.is_file():
            raise FileNotFoundError(path)
        facts = json.loads(path.read_text(encoding="utf-8"))
        written_by = facts["lptpp_version"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(f"{path} is missing or was not written by `lptpp export`: download or export again.") from error
    check_format_number(f"{folder} (lptpp {written_by})", {"format": facts.get(FORMAT_KEY, 1)})
    if not is_sealed(facts):
        raise UserError(f"{path} is changed: download or export again.")
    files = facts.get("files")
    if not isinstance(files, dict) or not {WEIGHTS, "config.yaml"} <= files.keys():
        raise UserError(f"{path} does not list {WEIGHTS} and config.yaml: download or export again.")
    for name, digest in files.items():
        if not _is_unchanged(folder, name, digest):
            raise UserError(f"{folder / name} is missing or changed: download or export again.")
    return facts


def _is_unchanged(folder: Path, name: str, digest: str) -> bool:
    try:
        return Path(name).name == name and file_digest(folder / name) == digest
    except OSError:
        return False


def _fetched(name: str) -> Path:
    match = AT_HUB.fullmatch(name)
    if match is None:
        raise UserError(f"{name} must have the form hf://owner/name or hf://owner/name@revision.")
    hub = extra("huggingface_hub", "hub", name)
    repository, revision = match.groups()
    try:
        with writing(f"The cache of hf://{repository}"):
            return Path(hub.snapshot_download(repository, revision=revision, allow_patterns=FILES))
    except CannotWrite:
        raise
    except Exception as error:  # the hub's errors, the network's, the disk's
        reason = " ".join(str(error).split())[:160]
        raise UserError(
            f"hf://{repository} cannot be downloaded ({type(error).__name__}: {reason}): check the name and the"
            " network; for a private model, log in with `hf auth login`."
        ) from error
