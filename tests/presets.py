"""The presets made quick and the command line in this process, for tests that run commands as a reader would."""

import logging
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from lptpp import cli
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


def run_lptpp(*arguments: object) -> int:
    """Run the command line in this process and return its exit status."""
    handlers = list(logging.getLogger("lptpp").handlers)
    try:
        with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as ended:
            patch.setattr(sys, "argv", ["lptpp", *map(str, arguments)])
            cli.main()
    finally:
        logging.getLogger("lptpp").handlers[:] = handlers
    return ended.value.code


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
