"""SVG that can stand in a page beside others."""

import re
import warnings
from xml.etree import ElementTree

import pytest

from lptpp.evaluation.table import ResultRow
from lptpp.report.gather import EvaluatedRun
from lptpp.report.section import Plot
from lptpp.report.sections.mixture import gain
from lptpp.report.style import panel, style
from lptpp.report.svg import SVG, inline

NAMES = ("<script>alert(1)</script>", '$x^2$ & "quotes" id="a" url(#b)', "漢字 😀")


def drawn(name: str, tips: dict | None = None) -> ElementTree.Element:
    with style():
        figure, ax = panel()
        ax.plot(range(3), range(3), "o", gid="marks")
        ax.set_xticks(range(3), NAMES)
        return ElementTree.fromstring(inline(Plot(figure, "a < b", "", "", tips or {}), name))


def test_names_of_classes_are_text_as_they_are() -> None:
    texts = [element.text for element in drawn("f").iter(f"{{{SVG}}}text")]
    assert set(NAMES) <= set(texts)
    assert not list(drawn("f").iter(f"{{{SVG}}}script"))


def test_every_mark_has_its_tip() -> None:
    root = drawn("f", {"marks": list(NAMES)})
    (group,) = [element for element in root.iter(f"{{{SVG}}}g") if element.get("id") == "f-marks"]
    assert [use.find(f"{{{SVG}}}title").text for use in group.iter(f"{{{SVG}}}use")] == list(NAMES)


def test_tips_that_do_not_fit_the_marks_are_an_error() -> None:
    with pytest.raises(ValueError, match="zip"):
        drawn("f", {"marks": ["one"]})


def test_ids_are_the_figures_own_and_references_find_them(run: EvaluatedRun) -> None:
    with style():
        first, second = (inline(gain(run, ResultRow("phase2", "visual"), "visual"), name) for name in ("s1", "s2"))
    ids = re.findall(r'\sid="([^"]*)"', first + second)
    assert len(ids) == len(set(ids)) > 20
    referred = re.findall(r'href="#([^"]*)"|url\(#([^)]*)\)', first + second)
    assert referred
    assert {one or other for one, other in referred} <= set(ids)


def test_nothing_of_the_figure_holds_for_the_page() -> None:
    root = drawn("f")
    tags = {element.tag.split("}")[1] for element in root.iter()}
    assert not tags & {"style", "metadata", "script"}
    assert {"width", "height"}.isdisjoint(root.attrib)
    assert (root.get("role"), root.get("aria-label")) == ("img", "a < b")


def test_letters_that_matplotlib_lacks_give_no_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        drawn("f")


def test_the_same_figure_has_the_same_bytes() -> None:
    assert ElementTree.tostring(drawn("f")) == ElementTree.tostring(drawn("f"))
