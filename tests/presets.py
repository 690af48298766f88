"""The presets made quick, for tests that run the commands of the documentation as a reader would."""

import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from lptpp.config.resolve import FOLDER, SPACES

SHIPPED = FOLDER


def quick_presets(folder: Path, changes: Mapping[str, Any]) -> Path:
    """Write all presets, each with `changes`, and the search spaces into a folder, and return it."""
    folder.mkdir(parents=True)
    for path in SHIPPED.glob("*.yaml"):
        OmegaConf.save(OmegaConf.merge(OmegaConf.load(path), changes), folder / path.name)
    shutil.copytree(SHIPPED / SPACES, folder / SPACES)
    return folder


def change(preset: Path, changes: Mapping[str, Any]) -> None:
    OmegaConf.save(OmegaConf.merge(OmegaConf.load(preset), changes), preset)


def lptpp_with(folder: Path) -> list[str]:
    """Return the program of a command line that takes its presets from a folder."""
    lines = [
        "from pathlib import Path",
        "from lptpp.config import resolve",
        f"resolve.FOLDER = Path({str(folder)!r})",
        "from lptpp.cli import main",
        "main()",
    ]
    return [sys.executable, "-c", "; ".join(lines)]
