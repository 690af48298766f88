"""Check what `python -m build` wrote to a folder: `python -m tests.packaging.archives dist`.

The source distribution holds every tracked file, the wheel every tracked file of the package and nothing else.
"""

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

from tests.packaging.project import ROOT


def tracked() -> set[str]:
    """Return the paths of all tracked files."""
    listing = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return set(listing.splitlines())


def sources(folder: Path) -> set[str]:
    """Return the paths in the source distribution, without its root folder."""
    (path,) = folder.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        return {member.name.partition("/")[2] for member in archive if member.isfile()}


def package(folder: Path) -> set[str]:
    """Return the paths in the wheel, without its description of itself."""
    (path,) = folder.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        return {name for name in archive.namelist() if ".dist-info/" not in name}


def main(folder: Path) -> None:
    """Name what is missing or too much; exit with status 1 in that case."""
    wanted = {path.removeprefix("src/") for path in tracked() if path.startswith("src/")}
    found = package(folder)
    problems = {
        "missing in the source distribution": tracked() - sources(folder),
        "missing in the wheel": wanted - found,
        "in the wheel without being tracked": found - wanted,
    }
    for problem, paths in problems.items():
        for path in sorted(paths):
            print(f"{problem}: {path}")
    if any(problems.values()):
        raise SystemExit(1)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
