"""CONTRIBUTING.md and the list of folders name what is there."""

import re
import tomllib

from tests.packaging.project import ROOT

TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
FOLDERS = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"]


def test_the_architecture_is_the_import_contract():
    rows = re.findall(r"^\| (`[^|]*`) \|", FOLDERS, flags=re.MULTILINE)
    (layers,) = (contract["layers"] for contract in CONTRACTS if contract["type"] == "layers")
    assert [name for row in rows for name in sorted(re.findall(r"`(\w+)`", row))] == [
        name for layer in merged(layers) for name in sorted(layer)
    ]


def merged(layers: list[str]) -> list[set[str]]:
    """Return the names of each layer; the command line and `__main__` share a row."""
    (main, cli), rest = layers[:2], layers[2:]
    return [{main, cli}, *({name.strip() for name in layer.split(":")} for layer in rest)]


def test_every_target_and_file_exists():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"make (\w+)", TEXT):
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target
    for path in re.findall(r"(?:tests|constraints|docs|benchmarks)/[\w./]+\w", TEXT):
        assert (ROOT / path).exists() or path.startswith(("tests/golden", "tests/FOLDER")), path


def test_ci_runs_every_target_that_checks():
    steps = re.search(r"for step in (.*);", (ROOT / ".ci/run").read_text(encoding="utf-8"))[1].split()
    assert steps == ["floors", "check", "docs", "test", "wheel"]
