"""What pyproject.toml and the files of constraints/ declare."""

import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parent.parent.parent
SOURCES = ROOT / "src" / "lptpp"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
TOOLS = ("dev", "docs")  # extras of those who work on lptpp


def parsed(lines: list[str]) -> dict[str, Requirement]:
    """Return requirements by normalized name."""
    return {canonicalize_name(one.name): one for one in map(Requirement, lines)}


CORE = parsed(PROJECT["dependencies"])
EXTRAS = {name: parsed(lines) for name, lines in PROJECT["optional-dependencies"].items()}


def pinned(name: str) -> dict[str, Version]:
    """Return the versions of constraints/NAME.txt by normalized name."""
    lines = (ROOT / "constraints" / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    found = parsed([line.split("#")[0] for line in lines if line.split("#")[0].strip()])
    assert all(str(one.specifier).startswith("==") for one in found.values())
    return {key: Version(str(one.specifier).removeprefix("==")) for key, one in found.items()}


def floor(requirement: Requirement) -> Version:
    """Return the lowest version of a requirement, which is one `>=`."""
    (only,) = requirement.specifier
    assert only.operator == ">=", requirement
    return Version(only.version)
