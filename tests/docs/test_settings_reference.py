"""The tables of the settings: every field with its metadata."""

# ruff: noqa: RUF009  (`setting` returns a dataclass field)

import re
from dataclasses import dataclass, fields, is_dataclass

import settings_reference
from settings_reference import MARK, tables

from lptpp import config
from lptpp.config.choices import Range
from lptpp.config.schema import section, setting
from tests.docs.pages import ROOT


@dataclass
class Small:
    """Little."""

    one: int = setting(1, "the first | of two", within=Range(1))
    two: list[str] = setting(["a"], "spread\nover lines", choices=("a", "b"))
    three: str | None = setting(None, "a text")
    four: bool = setting(False, "yes or no")
    five: float = setting(0.5, "a share", within=Range(0, 1, below=True))


@dataclass
class Large:
    """Much."""

    small: Small = section(lambda: Small(one=7))
    more: dict[str, Small] = section(dict)


def rows(text: str, name: str) -> list[list[str]]:
    """Return the cells of the table of a dataclass, without its head."""
    lines = text.split(f"## {name}\n")[1].split("\n## ")[0].splitlines()
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines if line.startswith("|")]
    return cells[2:]


def test_a_table_has_key_meaning_default_and_values():
    assert rows(tables(Large), "Small") == [
        ["`one`", "the first \\| of two", "`1`", "whole number, 1 or more"],
        ["`two`", "spread over lines", "`['a']`", "list of `a`, `b`"],
        ["`three`", "a text", "`null`", "text, or `null`"],
        ["`four`", "yes or no", "`false`", "`true`, `false`"],
        ["`five`", "a share", "`0.5`", "number, at least 0 and less than 1"],
    ]


def test_a_nested_dataclass_shows_what_differs_from_its_own_defaults():
    assert rows(tables(Large), "Large") == [
        ["`small`", "Little. Here: `one=7`", "", "[Small](#small)"],
        ["`more`", "Little.", "", "[Small](#small)"],
    ]
    assert "Keys: `small.…`, `more.NAME.…`." in tables(Large)


def test_every_setting_of_the_package_has_a_row_and_a_meaning():
    text = tables(config.Settings)
    schemas = [one for one in vars(config).values() if is_dataclass(one)]
    assert len(schemas) >= 10
    for schema in schemas:
        found = rows(text, schema.__name__)
        assert [row[0] for row in found] == [f"`{one.name}`" for one in fields(schema)]
        assert [row[0] for row in found if not row[1] or not row[3]] == []


def test_choices_are_those_of_the_schema():
    found = {row[0]: row for row in rows(tables(config.Settings), "StreamSettings")}
    assert "`square_root`" in found["`sampler`"][3]


def test_the_page_gets_the_tables():
    class App:
        class env:  # noqa: N801
            note_dependency = staticmethod(lambda path: None)

    source = [(ROOT / "docs" / "settings.md").read_text(encoding="utf-8")]
    assert source[0].count(MARK) == 1
    settings_reference._fill(App, "settings", source)
    assert MARK not in source[0]
    assert "## EvaluationSettings" in source[0]
