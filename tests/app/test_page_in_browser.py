"""The command `lptpp app` and a person before it: a real server, a real browser."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

import lptpp

pytestmark = pytest.mark.xdist_group("browser")  # one server and one browser for all of them
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
NASTY = "${1+1} {{name}} & <b>"


@pytest.fixture(scope="module")
def browser() -> Iterator:
    """A Chromium; without one the tests are left out, or fail where LPTPP_BROWSER=required."""
    path = next((found for name in CHROMIUM if (found := shutil.which(name))), None)
    if path is None:
        tell = pytest.fail if os.environ.get("LPTPP_BROWSER") == "required" else pytest.skip
        tell("there is no Chromium to test the page with: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        chromium = playwright.chromium.launch(executable_path=path, args=arguments)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def server(run: Path, tmp_path_factory) -> Iterator[str]:
    """The address of a page on a run whose largest class has a nasty name; it ends as Ctrl-C ends it."""
    rename(run, tmp_path_factory.mktemp("renamed") / "data")
    places = tmp_path_factory.mktemp("places")
    process = subprocess.Popen(
        [sys.executable, "-m", "lptpp.cli", "app", run, "--port", "0"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | {"TMPDIR": str(places)},
    )  # fmt: skip
    messages = process.stdout.readline()
    try:
        yield re.search(r"http://127\.0\.0\.1:\d+", messages)[0]
    finally:
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    assert not list(places.glob("lptpp-app-*"))  # no upload is left


def rename(run: Path, data: Path) -> None:
    """Give the run's class "apple" a name that means something to HTML and to templates."""
    settings = (run / "config.yaml").read_text(encoding="utf-8")
    root = re.search(r"root: (\S+)", settings)[1]
    shutil.copytree(root, data)
    for part in ("train", "test"):
        (data / part / "apple").rename(data / part / NASTY)
    (run / "config.yaml").write_text(settings.replace(root, str(data)), encoding="utf-8")
    (manifest,) = run.glob("checkpoint/*/manifest.json")
    manifest.write_text(manifest.read_text(encoding="utf-8").replace('"apple"', f'"{NASTY}"'), encoding="utf-8")


@pytest.fixture
def page(browser, server) -> Iterator:
    """The page, freshly opened; what it asked of other computers, and its errors, fail the test."""
    tab = browser.new_page(viewport={"width": 1280, "height": 1000})
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
    """Drop files; return the text of the cards that appear, one line for each line seen."""
    page.set_input_files("input[type=file]", list(paths))
    page.locator(".prediction", has_text=paths[-1].name).wait_for()
    return [card.inner_text() for card in page.locator(".prediction").all()]


def test_an_upload_gets_what_predict_says(page, run, pictures):
    image = pictures / "test" / "car" / "1.png"
    (text,) = upload(page, image)
    best, *_ = lptpp.load(run).predict(image, top_k=4)
    assert best.label in text
    assert f"{100 * best.probability:.1f}\u00a0%" in text
    for messages in (
        "-shot: ",
        "visual",
        "language",
        "weight 0.",
        "prompt groups",
        "of 3",
        "Similar training pictures",
    ):
        assert messages in text
    assert page.locator(".similar img").count() == 6


def test_an_example_of_the_run_is_picked_whose_name_means_something_to_html(page):
    page.locator(".examples .thumbnail-item").first.click()
    card = page.locator(".prediction")
    card.wait_for()
    assert f"is {NASTY}" in card.inner_text()


def test_bad_files_get_a_sentence_each_beside_the_good_one(page, pictures, tmp_path):
    Image.new("1", (10_000, 10_000)).save(tmp_path / "huge.png")
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "letter.pdf").write_bytes(b"%PDF-1.4 hello")
    good = Path(shutil.copy(pictures / "test" / "bear" / "0.png", tmp_path / "zz good.png"))
    texts = upload(page, tmp_path / "huge.png", tmp_path / "empty.jpg", tmp_path / "letter.pdf", good)
    assert texts[:3] == [
        "huge.png has 100.0 megapixels, more than 25.",
        "empty.jpg cannot be read: the file is empty.",
        "letter.pdf cannot be read: not a picture in a format that Pillow knows.",
    ]
    assert "Similar training pictures" in texts[3]
    assert "Traceback" not in page.content()


def test_more_pictures_may_follow_and_replace_the_answers(page, pictures, tmp_path):
    for name in ("first.png", "second.png"):
        image = Path(shutil.copy(pictures / "test" / "dog" / "0.png", tmp_path / name))
        (text,) = upload(page, image)
        assert name in text


def test_a_phone_needs_no_sideways_scrolling(page, pictures):
    page.set_viewport_size({"width": 390, "height": 800})
    upload(page, pictures / "test" / "car" / "1.png")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_another_site_cannot_reach_the_page_by_a_name_of_its_own(browser, server):
    predict = browser.new_context().request.get(server, headers={"Host": "example.com"})
    assert predict.status == 400
