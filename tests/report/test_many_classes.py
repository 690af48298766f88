"""A page of 8142 classes, as many as iNaturalist 2018: small, and its table sorted and searched in a real browser."""

from pathlib import Path

import numpy as np
import pytest

from lptpp.report.gather import gather
from lptpp.report.page import write_report
from lptpp.report.sections.class_table import class_table
from tests.report.made import make_run

NAMES = [f"Genus species subspecies {index}" for index in range(8142)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with its report."""
    counts = np.maximum(2, 1000 * np.exp(-np.linspace(0, 6.2, len(NAMES)))).astype(int)
    made = make_run(tmp_path_factory.mktemp("many") / "run", counts, NAMES, tested=1)
    write_report(made)
    return made


def test_the_page_stays_small(folder: Path) -> None:
    path = folder / "report.html"
    assert path.stat().st_size < 2.5e6
    assert "Confusion matrix" not in path.read_text(encoding="utf-8")


def test_a_browser_sorts_and_searches_the_classes(browser, folder: Path) -> None:
    table = class_table(gather(folder))
    page = browser.new_page()
    page.goto((folder / "report.html").as_uri())
    part = page.locator(".part.classes")
    first = part.locator("tbody td").first
    assert first.inner_text() == table.data[0][0]
    assert part.locator("tbody tr").count() == 50
    part.get_by_text("training images", exact=True).click()
    assert first.inner_text() == NAMES[0]
    part.get_by_text("training images", exact=True).click()
    assert part.locator("tbody tr").first.locator("td").nth(1).inner_text() == "2"
    part.get_by_placeholder("part of a class name").fill("SPECIES 81")
    assert (
        part.locator(".more").inner_text().startswith("Showing 50 of 53 classes found.")
    )  # 81, 810 to 819, 8100 to 8141
    part.get_by_role("button").click()
    assert part.locator("tbody tr").count() == 53
    for text, sentence in (("species 8141", "1 of 1 class found."), ("", "50 of 8,142 classes. Show more")):
        part.get_by_placeholder("part of a class name").fill(text)
        assert part.locator(".more").inner_text() == f"Showing {sentence}"
    part.get_by_placeholder("part of a class name").fill("nowhere")
    assert part.locator(".more").inner_text() == "No class has this in its name."
    page.close()
