"""The page as a whole: complete, self-contained, escaped, small, for every method."""

import json
import re
from html.parser import HTMLParser
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
from markupsafe import Markup

from lptpp.data.dataset import ImageDataset, Split
from lptpp.evaluation.table import ResultRow
from lptpp.report import page as report_page
from lptpp.report.page import write_report
from lptpp.utils.errors import UserError
from tests import golden
from tests.report.made import make_run

VOID = {"meta", "img", "br", "link", "input"}
SENTENCES = ("h1", "h2", "h3", "p", "th", "dt", "span", "footer")
TITLES = ["Results", "Classes", "Confusions", "Example images", "Calibration", "Mixture", "Group prompts"]
TITLES += ["Model input", "Training", "Settings and versions"]


class Reader(HTMLParser):
    """Collects tags and text; every tag must be closed where it should be, fetch nothing and run only one script."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict]] = []
        self.titles: list[str] = []
        self.text = ""
        self.sentences: list[str] = []
        self.scripts: list[str] = []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag: str, attributes: list) -> None:
        self.handle_startendtag(tag, attributes)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list) -> None:
        given = dict(attributes)
        assert tag not in ("link", "iframe", "object")
        if tag == "script":
            assert given in ({}, {"type": "application/json", "class": "data"})
        assert not any(name.startswith("on") for name in given)
        assert all(given.get(name, "#").startswith(("#", "data:")) for name in ("src", "href", "xlink:href"))
        self.tags.append((tag, given))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "script":
            self.scripts.append(data)
            return
        self.text += data
        if self.open and self.open[-1] in SENTENCES and "svg" not in self.open and data.strip():
            self.sentences.append(" ".join(data.split()))
        if self.open and self.open[-1] == "h2":
            self.titles.append(data)


def report(folder: Path) -> Reader:
    return Reader(write_report(folder).read_text(encoding="utf-8"))


def test_a_trained_run_has_its_sections_and_its_images_and_the_same_bytes_each_time(trained, tmp_path: Path) -> None:
    again = write_report(trained.folder, output=tmp_path / "new" / "again.html")
    assert again.read_bytes() == (trained.folder / "report.html").read_bytes()  # which `fit` left
    page = Reader(again.read_text(encoding="utf-8"))
    errors = trained.metrics["rows"]["mixture"]["overall"] < 100
    assert page.titles == [title for title in TITLES if title != "Confusions" or errors]
    images = [given["src"] for tag, given in page.tags if tag == "img"]
    assert images and all(source.startswith("data:image/jpeg;base64,") for source in images)
    assert "cannot be shown" not in page.text
    assert f"torch{version('torch')}" in "".join(page.text.split())
    assert [path.name for path in again.parent.iterdir()] == ["again.html"]  # and no .partial


def test_a_shot_without_classes_has_a_sentence_instead_of_a_figure(tmp_path: Path) -> None:
    text = " ".join(report(make_run(tmp_path / "run", [50, 30], method="lpt")).text.split())
    assert "No class with images in the test split is many-shot or few-shot." in text


def test_a_made_run_has_every_section(folder: Path) -> None:
    assert report(folder).titles == TITLES


@pytest.mark.parametrize("method", ["lpt", "linear_probe", "adaptformer"])
def test_every_method_has_a_report(method: str, tmp_path: Path) -> None:
    page = report(make_run(tmp_path / "run", [150, 40, 6, 2], method=method, epochs=1))
    of_phase2 = {"Group prompts", "Gain of phase 2"} if method == "lpt" else set()
    assert set(page.titles) == set(TITLES) - {"Mixture", "Group prompts"} | of_phase2


NASTY = [
    "<script>alert(1)</script>",
    "</svg><b>",
    "a, 'b' & \"c\"",
    "$\\frac{1}{",
    "漢字 😀",
    "{{ 7 * 7 }}",
    "bell \x07",
]


def test_names_from_the_data_are_text_and_nothing_else(tmp_path: Path) -> None:
    images = [Path(f"/nowhere/<script>{index}</script>\"'.png") for index in range(21)]
    page = report(make_run(tmp_path / "run", [150, 40, 6, 2, 1, 0, 3], names=NASTY, images=images))
    assert {"b"}.isdisjoint(tag for tag, given in page.tags if not (tag == "b" and not given))
    for name in NASTY:
        assert name in page.text
    data, script = page.scripts  # the table of all classes, and what sorts it
    assert json.loads(data)["names"] == NASTY
    assert "<script" not in data and "innerHTML" not in script


@pytest.mark.parametrize(
    "counts, tested",
    [
        ([5, 3], [1, 0]),  # one image, one shot
        ([10**6, 3, 0], [3, 0, 0]),  # no image of few-shot classes
        ([0, 7, 0], 1),
    ],
)
def test_small_and_odd_data(counts: list[int], tested: int | list[int], tmp_path: Path) -> None:
    assert set(TITLES) - set(report(make_run(tmp_path / "run", counts, tested=tested)).titles) <= {"Confusions"}


def test_the_text_of_the_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All headings, sentences and labels outside of figures, settings and numbers."""
    monkeypatch.setattr(report_page, "inline", lambda plot, name: Markup("<svg></svg>"))
    images = [np.zeros((20, 30, 3), np.uint8)] * 15
    names, tested = [f"class {index}" for index in range(5)], [6, 4, 3, 2, 0]
    folder = make_run(tmp_path / "run", [150, 40, 6, 1, 0], tested=tested, images=images, extra_rows=ROWS)
    test = Split(images, np.repeat(range(5), tested))
    collection = ImageDataset(names, test, None, test)
    page = Reader(write_report(folder, collection).read_text(encoding="utf-8"))
    text = re.sub(r"\d{4}-\d\d-\d\d|\d+\.\d+\.\w+", "…", "\n".join(dict.fromkeys(page.sentences)))
    golden.check("report_text", text.replace(str(tmp_path), "FOLDER").replace("\u00a0", " ") + "\n")


ROWS = [ResultRow("mixture", views="flip")]


def test_a_folder_as_output_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"folder.*report\.html"):
        write_report(folder, output=tmp_path)
