"""Take the screenshots of the documentation: `python docs/figures/screenshots.py RUN`, a finished run of the demo."""

import shutil
import subprocess
import sys
import time
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

FIGURES = Path(__file__).parent
SECTIONS = {"report_mixture": "Mixture", "report_pool": "Group prompts", "report_pictures": "Example images"}
TOP, LONGEST = 1020, 1600  # pixels: height of the top of a report, and of the window
PORT = 7861


def main(run: Path) -> None:
    """Write the screenshots next to this file."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        _report(browser, run / "report.html")
        _phone(browser, run / "report.html")
        _app(browser, run)


def _report(browser: Browser, report: Path) -> None:
    page = browser.new_page(viewport={"width": 1200, "height": LONGEST})
    page.goto(report.absolute().as_uri())
    page.screenshot(path=FIGURES / "report_top.png", clip=_box(0, 0, 1200, TOP))
    for name, title in SECTIONS.items():
        _section(page, title, FIGURES / f"{name}.png")


def _section(page: Page, title: str, path: Path) -> None:
    section = page.locator("section", has=page.get_by_role("heading", name=title, exact=True)).first
    box = section.bounding_box()
    assert box is not None, title
    height = min(box["height"], 1140)
    page.screenshot(path=path, clip=_box(0, box["y"], 1200, height), full_page=True)


def _phone(browser: Browser, report: Path) -> None:
    page = browser.new_page(viewport={"width": 402, "height": 422}, device_scale_factor=2)
    page.goto(report.absolute().as_uri())
    page.screenshot(path=FIGURES / "report_phone.png")


def _app(browser: Browser, run: Path) -> None:
    command = [sys.executable, "-m", "lptpp", "app", str(run), "--port", str(PORT)]
    with subprocess.Popen(command) as server:
        page = browser.new_page(viewport={"width": 1180, "height": 1180})
        for _ in range(180):
            try:
                page.goto(f"http://127.0.0.1:{PORT}")
                break
            except Exception:  # not listening yet
                time.sleep(1)
        page.locator(".grid-wrap button, .thumbnail-item").first.click()
        page.locator(".prediction").first.wait_for(timeout=60_000)
        page.wait_for_timeout(1000)
        page.screenshot(path=FIGURES / "app.png", clip=_box(0, 0, 1180, 1180), full_page=True)
        server.terminate()


def _box(x: float, y: float, width: float, height: float) -> dict[str, float]:
    return {"x": x, "y": y, "width": width, "height": height}


if __name__ == "__main__":
    main(Path(sys.argv[1]))
