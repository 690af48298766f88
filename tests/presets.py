"""The presets made quick and the command line in this process, for tests that run commands as a reader would."""

import logging
import os
import shutil
import subprocess
import sys
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from lptpp import cli
from lptpp.config.resolve import FOLDER, SPACES
from tests.ranks import PRINTED, exit_codes, forked

SHIPPED = FOLDER
QUIET = (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning)  # by Python itself
END = "\N{END OF TRANSMISSION}"
RUN_ALL = f"""
import os, shlex, sys
from pathlib import Path
from lptpp.cli import main
from lptpp.config import resolve
resolve.FOLDER = Path(sys.argv[1])
exec(sys.argv[2])
for line in sys.argv[3:]:
    words = shlex.split(line)
    first = words.index("lptpp")
    os.environ.update(word.split("=") for word in words[:first])
    sys.argv = words[first:]
    try:
        main()
    except SystemExit as ended:
        if ended.code:
            raise
    print(end={END!r})
"""


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


def run_in_a_process(
    lines: Sequence[str], cwd: Path, presets: Path = SHIPPED, first: str = ""
) -> tuple[list[str], str]:
    """Run command lines in order in one new process, which imports PyTorch once; return their outputs and its errors.

    What a command prints as it is imported, such as a warning, is seen here only. All of them must succeed. `first` is
    Python code to run before them.
    """
    command = [sys.executable, "-c", RUN_ALL, str(presets), first, *lines]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout.split(END)[:-1], done.stderr


def run_in_a_fork(lines: Sequence[str], cwd: Path, presets: Path, first: str = "") -> tuple[list[str], str]:
    """As `run_in_a_process`, but forked from this process, which saves the imports: 5 s.

    A warning is printed as to a user, except for those of modules that this process has imported before.
    """

    def run_all() -> None:
        os.chdir(cwd)
        sys.argv = ["", str(presets), first, *lines]
        warnings.resetwarnings()  # the filters of pytest, which also keeps the warnings for itself
        for category in QUIET:
            warnings.simplefilter("ignore", category)
        warnings.showwarning = lambda *given: print(warnings.formatwarning(*given[:4]), file=sys.stderr)
        exec(RUN_ALL, {})

    process = forked(run_all, cwd / "printed")
    (code,) = exit_codes([process])
    output, errors = ((cwd / "printed" / name).read_text(encoding="utf-8") for name in PRINTED)
    assert code == 0, errors
    return output.split(END)[:-1], errors
