"""The format of run folders: a folder of another version is refused by one sentence."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from lptpp.utils.digest import DIGEST, is_sealed
from lptpp.utils.errors import UserError

FORMAT = 3  # of run folders; raised whenever older versions of lptpp cannot read the new ones, or the reverse
RENAMED = {"borders", "pool", "chosen", "colour"}  # settings of format 1 that have other names now


def check_format(folder: Path) -> None:
    """Raise `UserError` if another version of lptpp wrote a run folder in another format."""
    for path in (folder / "checkpoint").glob("step-*/manifest.json"):
        manifest = _json(path)
        if manifest and (DIGEST not in manifest or is_sealed(manifest)):  # else damaged, which its reader reports
            check_format_number(folder, manifest)
    if RENAMED & (_keys(_yaml(folder / "config.yaml")) | _json(folder / "metrics.json").keys()):
        check_format_number(folder, {})


def check_format_number(folder: Path | str, content: Mapping[str, Any]) -> None:
    """Raise `UserError` unless a manifest, or another file with this key, has the format of this version."""
    found = content.get("format", 1)
    if found != FORMAT:
        raise UserError(
            f"{folder} was written by another version of lptpp (format {found}; this version reads {FORMAT}): use that"
            " version, or train again in a new run folder."
        )


def _keys(settings: Mapping[str, Any]) -> set[str]:
    """Return every key of nested settings."""
    nested = [_keys(value) for value in settings.values() if isinstance(value, Mapping)]
    return {str(key) for key in settings}.union(*nested)


def _yaml(path: Path) -> dict[str, Any]:
    """Return the settings of a file; none if it is missing or damaged, which is for its reader to report."""
    if not path.is_file():
        return {}
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    return found if isinstance(found, dict) else {}


def _json(path: Path) -> dict[str, Any]:
    """Return a JSON object; an empty one if the file is missing or damaged, which is for its reader to report."""
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
