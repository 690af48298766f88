"""The glossary and the architecture page name files and folders that exist, and all of them."""

import re
from pathlib import Path

import pytest

from tests.docs.pages import ROOT

DOCS, PACKAGE = ROOT / "docs", ROOT / "src" / "lptpp"
GLOSSARY = (DOCS / "glossary.md").read_text(encoding="utf-8")
ARCHITECTURE = (DOCS / "architecture.md").read_text(encoding="utf-8")
LINES = [line.replace("\\|", "").split("|")[1:-1] for line in GLOSSARY.splitlines() if line.endswith(".py) |")]
ROWS = [[cell.strip() for cell in line] for line in LINES]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_each_term_has_a_meaning_and_a_file_that_exists(row: list[str]) -> None:
    _, meaning, source, _, file = row
    shown, path = re.fullmatch(r"\[`(.*)`\]\((.*)\)", file).groups()  # type: ignore[union-attr]
    assert meaning
    assert (DOCS / path).is_file()
    assert shown.rstrip("/") in path
    assert not source or re.fullmatch(r"\[(\d{4}\.\d{5})\]\(https://arxiv\.org/abs/\1\)", source)


def test_no_term_is_defined_twice() -> None:
    terms = [row[0] for row in ROWS]
    assert len(terms) == len(set(terms)) > 50


def test_the_architecture_page_lists_every_folder_once() -> None:
    table = ARCHITECTURE.split("## From an image")[0]
    listed = [
        name for row in re.findall(r"^\| (`.*?) \|", table, flags=re.MULTILINE) for name in re.findall(r"`(\w+)`", row)
    ]
    folders = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").is_file()}
    modules = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__"}
    assert sorted(listed) == sorted(folders | modules)


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`((?:src|tests)/[\w/.]+)`", ARCHITECTURE))))
def test_the_places_for_additions_exist(name: str) -> None:
    assert Path(ROOT, name).exists()
