"""Lend PyTorch to an environment: `.venv/bin/python -m tests.packaging.borrow FOLDER venv/bin/python`.

Links PyTorch and its CUDA libraries, as installed here, into a new folder, and has the other environment import from
it after its own packages: pip finds them installed there, and never writes to them.
"""

import re
import subprocess
import sys
from importlib.metadata import Distribution, distributions
from pathlib import Path

LENT = r"torch|torchvision|triton|(nvidia|cuda)-.*"  # names of distributions: 5 GB
SITE = "import sysconfig; print(sysconfig.get_path('purelib'))"


def lend(one: Distribution, folder: Path) -> None:
    """Link the files and folders of a distribution that lie in site-packages."""
    for name in {path.parts[0] for path in one.files or []} - {"..", "__pycache__"}:
        if not (folder / name).is_symlink():  # several distributions share the folder nvidia
            (folder / name).symlink_to(Path(str(one.locate_file(name))).resolve())


def main(folder: Path, python: str) -> None:
    """Link PyTorch into a folder for the environment of a Python program."""
    folder.mkdir()
    for one in distributions():
        if re.fullmatch(LENT, one.name):
            lend(one, folder)
    site = subprocess.run([python, "-c", SITE], capture_output=True, text=True, check=True).stdout.strip()
    Path(site, "borrowed.pth").write_text(f"{folder.resolve()}\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
