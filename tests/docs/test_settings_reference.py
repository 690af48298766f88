"""The tables of the settings: every field, with what the source says beside it."""

import re
import sys
from dataclasses import fields, is_dataclass
from types import ModuleType

import pytest
import settings_reference
from settings_reference import MARK, beside, tables

from lptpp import config
from tests.docs.pages import ROOT

SOURCE = '''
@dataclass
class Small:
    """Little."""

    one: int = 1  # the first | of two
    two: list[str] = field(
        default_factory=lambda: ["# no comment"],  # spread over
    )  # several lines
    three: str | None = None


@dataclass
class Large:
    """Much."""

    small: Small = field(default_factory=lambda: Small(one=7))
    more: dict[str, Small] = field(default_factory=dict)
'''


@pytest.fixture
def made(tmp_path, monkeypatch) -> ModuleType:
    (tmp_path / "made_settings.py").write_text(f"from dataclasses import dataclass, field\n{SOURCE}")
    monkeypatch.syspath_prepend(tmp_path)
    import made_settings

    yield made_settings
    del sys.modules["made_settings"]


def rows(text: str, name: str) -> list[list[str]]:
    """Return the cells of the table of a dataclass, without its head."""
    lines = text.split(f"## {name}\n")[1].split("\n## ")[0].splitlines()
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines if line.startswith("|")]
    return cells[2:]


def test_comments_are_taken_from_all_lines_of_a_field(made):
    assert beside(made) == {
        "Small": {"one": "the first | of two", "two": "spread over several lines", "three": ""},
        "Large": {"small": "", "more": ""},
    }


def test_a_table_holds_key_meaning_default_and_type(made):
    assert rows(tables(made.Large), "Small") == [
        ["`one`", "the first \\| of two", "`1`", "`int`"],
        ["`two`", "spread over several lines", "`['# no comment']`", "`list[str]`"],
        ["`three`", "", "nothing", "`str or nothing`"],
    ]


def test_a_nested_dataclass_tells_what_differs_from_its_own_defaults(made):
    assert rows(tables(made.Large), "Large") == [
        ["`small`", "Little. Here: `one=7`", "", "[Small](#small)"],
        ["`more`", "Little.", "`{}`", "[Small](#small)"],
    ]
    assert "Keys: `small.…`, `more.NAME.…`." in tables(made.Large)


def test_every_setting_of_the_package_has_a_row_and_a_meaning():
    text = tables(config.Settings)
    schemas = [one for one in vars(config).values() if is_dataclass(one)]
    assert len(schemas) >= 10
    for schema in schemas:
        found = rows(text, schema.__name__)
        assert [row[0] for row in found] == [f"`{one.name}`" for one in fields(schema)]
        assert [row[0] for row in found if not row[1]] == []


def test_the_page_gets_the_tables(monkeypatch):
    class App:
        class env:  # noqa: N801
            note_dependency = staticmethod(lambda path: None)

    source = [(ROOT / "docs" / "settings.md").read_text(encoding="utf-8")]
    assert source[0].count(MARK) == 1
    settings_reference._fill(App, "settings", source)
    assert MARK not in source[0]
    assert "## EvaluationSettings" in source[0]
