"""The command `lptpp app` with a real server and a real browser."""

import os
import re
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from multiprocessing import Process
from pathlib import Path

import pytest
from PIL import Image

import lptpp
from lptpp import cli
from lptpp.training.fit import fit
from tests.ranks import forked

NASTY = "${1+1} {{name}} & <b>"


@pytest.fixture(scope="module")
def run(settings_of, pictures: Path, tmp_path_factory) -> Path:
    """A run whose largest class has a name with HTML and template syntax."""
    data = shutil.copytree(pictures, tmp_path_factory.mktemp("renamed") / "data")
    for split in ("train", "test"):
        (data / split / "apple").rename(data / split / NASTY)
    folder = tmp_path_factory.mktemp("app") / "my run"
    quick = ["phase1.epochs=1", "phase2.epochs=1", "phase3.epochs=1", "evaluation.baselines=[]"]
    fit(settings_of(folder, f"data.root={data}", *quick))
    return folder


@pytest.fixture(scope="module")
def server(run: Path, tmp_path_factory) -> Iterator[str]:
    """The address of a page for the run; stopped by Ctrl-C."""
    places, printed = tmp_path_factory.mktemp("places"), tmp_path_factory.mktemp("printed")

    def serve() -> None:
        sys.argv, tempfile.tempdir = ["lptpp", "app", str(run), "--port", "0"], str(places)
        cli.main()

    process = forked(serve, printed)
    try:
        yield address(process, printed)
    finally:
        os.kill(process.pid, signal.SIGINT)
        process.join(60)
        process.kill()
    assert (process.exitcode, (printed / "err.txt").read_text()) == (0, "")
    assert not list(places.glob("lptpp-app-*"))  # no upload is left


def address(process: Process, printed: Path) -> str:
    """Wait for the address that a server prints."""
    deadline = time.monotonic() + 120
    while not (found := re.search(r"http://127\.0\.0\.1:\d+\b", (printed / "out.txt").read_text())):
        assert process.is_alive() and time.monotonic() < deadline, (printed / "err.txt").read_text()
        time.sleep(0.05)
    return found[0]


@pytest.fixture(scope="module")
def visitor(browser) -> Iterator:
    """A visitor of the page, whose browser remembers its scripts."""
    context = browser.new_context()
    yield context
    context.close()


@pytest.fixture
def page(server, visitor) -> Iterator:
    """The page, freshly opened; requests to other servers and errors fail the test."""
    tab = visitor.new_page()
    tab.set_viewport_size({"width": 1280, "height": 1000})
    requests, errors = [], []
    tab.on("request", lambda request: requests.append(request.url))
    tab.on("pageerror", lambda error: errors.append(str(error)))
    tab.goto(server)
    tab.wait_for_selector("input[type=file]", state="attached")
    yield tab
    tab.close()
    assert [url for url in requests if not url.startswith((server, "data:", "blob:"))] == []
    assert errors == []


def upload(page, *paths: Path) -> list[str]:
    """Drop files; return the text of the cards that appear."""
    page.set_input_files("input[type=file]", list(paths))
    page.locator(".prediction", has_text=paths[-1].name).wait_for()
    return [card.inner_text() for card in page.locator(".prediction").all()]


def test_an_upload_gets_the_prediction_of_predict(page, run, pictures):
    image = pictures / "test" / "car" / "1.png"
    (text,) = upload(page, image)
    best, *_ = lptpp.load(run).predict(image, top_k=4)
    assert best.label in text
    assert f"{100 * best.probability:.1f}%" in text
    for part in (
        "-shot: ",
        "visual",
        "language",
        "weight 0.",
        "prompt groups",
        "of 3",
        "Similar training images",
    ):
        assert part in text
    assert page.locator(".similar img").count() == 6


def test_an_example_with_html_in_its_class_name_is_selected(page):
    page.locator(".examples .thumbnail-item").first.click()
    card = page.locator(".prediction")
    card.wait_for()
    assert f"true class: {NASTY}" in card.inner_text()


def test_no_example_is_cut_off_on_a_narrow_page(page):
    page.set_viewport_size({"width": 340, "height": 700})
    wrap = page.locator(".examples .grid-wrap")
    wrap.wait_for()
    assert page.locator(".examples .thumbnail-item").count() == 4
    assert wrap.evaluate("box => box.scrollWidth <= box.clientWidth")


def test_bad_files_are_rejected_next_to_a_good_one(page, pictures, tmp_path):
    Image.new("1", (10_000, 10_000)).save(tmp_path / "huge.png")
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "letter.pdf").write_bytes(b"%PDF-1.4 hello")
    good = Path(shutil.copy(pictures / "test" / "bear" / "0.png", tmp_path / "zz good.png"))
    texts = upload(page, tmp_path / "huge.png", tmp_path / "empty.jpg", tmp_path / "letter.pdf", good)
    for text, name, reason in zip(
        texts, ("huge.png", "empty.jpg", "letter.pdf"), ("megapixels", "empty", "supported"), strict=False
    ):
        assert text.startswith(f"{name} ") and reason in text
    assert "Similar training images" in texts[3]
    assert "Traceback" not in page.content()


def test_more_images_replace_the_predictions(page, pictures, tmp_path):
    for name in ("first.png", "second.png"):
        image = Path(shutil.copy(pictures / "test" / "dog" / "0.png", tmp_path / name))
        (text,) = upload(page, image)
        assert name in text


def test_a_phone_needs_no_sideways_scrolling(page, pictures):
    page.set_viewport_size({"width": 390, "height": 800})
    upload(page, pictures / "test" / "car" / "1.png")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_another_site_cannot_reach_the_page_by_a_name_of_its_own(server, browser):
    response = browser.new_context().request.get(server, headers={"Host": "example.com"})
    assert response.status == 400
