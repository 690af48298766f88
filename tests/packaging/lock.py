"""Print the versions that `.[dev]` installs here as a constraints file; `make lock` keeps it in constraints/."""

import platform
from importlib.metadata import PackageNotFoundError, distribution

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.packaging.project import CORE, EXTRAS


def closure(requirements: list[Requirement]) -> dict[str, str]:
    """Return the installed version of each requirement and of what it requires, by normalized name."""
    versions: dict[str, str] = {}
    seen: set[tuple[str, frozenset[str]]] = set()
    while requirements:
        requirement = requirements.pop()
        key = canonicalize_name(requirement.name), frozenset(requirement.extras)
        if key in seen or key[0] in ("lptpp", "setuptools"):
            continue
        seen.add(key)
        try:
            found = distribution(requirement.name)
        except PackageNotFoundError as error:
            raise SystemExit(f"{requirement} is not installed: run make test first.") from error
        versions[key[0]] = Version(found.version).public
        below = [Requirement(line) for line in found.requires or ()]
        requirements += [one for one in below if applies(one, key[1])]
    return versions


def applies(requirement: Requirement, extras: frozenset[str]) -> bool:
    """Say whether a requirement holds on this machine, with these extras of the package that names it."""
    marker = requirement.marker
    return marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras))


if __name__ == "__main__":
    declared = [one for group in (CORE, *EXTRAS.values()) for one in group.values()]
    print(f"# The environment of development, Python {platform.python_version()}; written by `make lock`.")
    for name, version in sorted(closure(declared).items()):
        print(f"{name}=={version}")
