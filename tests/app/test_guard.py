"""The web application opens files that were uploaded through the page, and nothing else (no browser, no network)."""

import asyncio
import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image

from lptpp.app import guard, serve
from lptpp.app.page import build_page
from lptpp.app.predictions import RejectedImage

HOME = {"origin": "http://127.0.0.1:7860"}


class Recorder:
    """A predictor that records what it is asked to open."""

    def __init__(self) -> None:
        self.model = SimpleNamespace(settings=SimpleNamespace(evaluation=SimpleNamespace(shot_thresholds=(20, 100))))
        self.opened = []

    def predict(self, given):
        self.opened.append(Path(given.image))
        return RejectedImage(given.name, "was opened.")


@pytest.fixture(scope="module")
def uploads(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("uploads").resolve()


@pytest.fixture(scope="module")
def site(uploads):
    """A client of the web application, and the recorder of what it opens."""
    testclient = pytest.importorskip("fastapi.testclient")
    pytest.importorskip("gradio")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(uploads))
        predictor = Recorder()
        app = serve.application(build_page(predictor, "a run"))
        with testclient.TestClient(app, base_url="http://127.0.0.1:7860") as client:
            yield SimpleNamespace(client=client, predictor=predictor)


@pytest.fixture
def picture(uploads) -> Path:
    path = uploads / "cat.png"
    Image.new("RGB", (8, 8)).save(path)
    return path


def call(site, *named: object, headers=None, meta=True):
    """Ask the queue to classify files by their paths; return the answer and the events that follow."""
    (number,) = (
        one["id"] for one in site.client.get("/config").json()["dependencies"] if one["targets"][0][1] == "upload"
    )
    files = [{"path": one} | ({"meta": {"_type": "gradio.FileData"}} if meta else {}) for one in named]
    body = {"fn_index": number, "session_hash": "abc", "data": [files]}
    site.predictor.opened.clear()
    answer = site.client.post("/gradio_api/queue/join", json=body, headers=headers or HOME)
    events = site.client.get("/gradio_api/queue/data?session_hash=abc").text if answer.status_code == 200 else ""
    return answer.status_code, events


def test_an_uploaded_file_is_opened(site, picture):
    with picture.open("rb") as file:
        answer = site.client.post("/gradio_api/upload", files={"files": ("my cat.png", file)}, headers=HOME)
    (path,) = answer.json()
    status, events = call(site, path)
    assert status == 200 and "was opened" in events
    assert site.predictor.opened == [Path(path)]
    assert site.client.get(f"/gradio_api/file={path}").content == picture.read_bytes()


def another_file(folder, uploads):
    Image.new("RGB", (8, 8)).save(folder / "private.png")
    return folder / "private.png"


def text_file(folder, uploads):
    (folder / "notes.txt").write_text("private")
    return folder / "notes.txt"


def fifo(folder, uploads):
    os.mkfifo(uploads / "fifo.png")
    return uploads / "fifo.png"


def symlink(folder, uploads):
    (uploads / "link.png").symlink_to(another_file(folder, uploads))
    return uploads / "link.png"


def linked_folder(folder, uploads):
    another_file(folder, uploads)
    (uploads / "linked").symlink_to(folder)
    return uploads / "linked" / "private.png"


def dots(folder, uploads):
    return f"{uploads}/../{folder.name}/{another_file(folder, uploads).name}"


def oversize(folder, uploads):
    with (uploads / "large.png").open("wb") as file:
        file.truncate(int(guard.LARGEST_UPLOAD * 1e6) + 1)  # sparse
    return uploads / "large.png"


ELSEWHERE = [another_file, text_file, fifo, symlink, linked_folder, dots, oversize]
WORDS = ["http://127.0.0.1:1/a.png", "file:///etc/passwd", "/dev/zero", "/nowhere.png", "cat.png", "a\0b", "", None, 3]


@pytest.mark.parametrize("meta", [True, False], ids=["file data", "plain"])
@pytest.mark.parametrize("make", ELSEWHERE)
def test_no_other_file_is_opened(make, meta, site, picture, tmp_path, uploads):
    for old in ("fifo.png", "link.png", "linked"):
        (uploads / old).unlink(missing_ok=True)
    assert call(site, str(picture), str(make(tmp_path, uploads)), meta=meta)[0] == 403
    assert site.predictor.opened == []
    assert not [
        path
        for path in uploads.rglob("*")
        if path.name in ("private.png", "notes.txt") and not path.parent.is_symlink()
    ]


@pytest.mark.parametrize("name", WORDS)
def test_no_address_device_or_other_value_is_opened(name, site):
    assert call(site, name)[0] == 403
    assert site.predictor.opened == []


def test_a_path_that_is_named_twice_or_deep_inside_is_found(site, tmp_path):
    private = json.dumps(str(another_file(tmp_path, tmp_path)))
    for body in (
        f'{{"path": {private}, "path": ""}}',
        f'{{"data": [[{{"a": {{"path": {private}}}}}]]}}',
        "[" * 9999,
        "{",
    ):
        assert site.client.post("/gradio_api/queue/join", content=body, headers=HOME).status_code == 403
    large = b" " * guard.LARGEST_CALL + b"{}"
    assert site.client.post("/gradio_api/queue/join", content=large, headers=HOME).status_code == 403


def test_a_file_above_the_limit_is_not_taken(site, uploads):
    content = bytes(int(guard.LARGEST_UPLOAD * 1e6) + 1)
    answer = site.client.post("/gradio_api/upload", files={"files": ("huge.png", content)}, headers=HOME)
    assert answer.status_code == 413
    assert not list(uploads.rglob("huge.png"))


@pytest.mark.parametrize("origin", ["http://evil.example", "http://127.0.0.1:8000", "https://127.0.0.1:7860", "null"])
def test_another_page_sends_nothing(origin, site, picture, uploads):
    answer = site.client.post("/gradio_api/upload", files={"files": ("evil.png", b"1")}, headers={"origin": origin})
    assert answer.status_code == 403
    assert not list(uploads.rglob("evil.png"))
    assert call(site, str(picture), headers={"origin": origin})[0] == 403


def test_another_host_is_refused(site):
    assert site.client.get("/", headers={"host": "evil.example"}).status_code == 400


@pytest.mark.parametrize(
    "path",
    [
        "/openapi.json",
        "/docs",
        "/redoc",
        "/gradio_api/openapi.json",
        "/gradio_api/info",
        "/gradio_api/info/",
        "/monitoring",
        "/gradio_api/proxy=http://127.0.0.1:1/",
        "/gradio_api/file=/etc/passwd",
        "/gradio_api/file=http://127.0.0.1:1/a",
        "/gradio_api/file/etc/passwd",
        "/gradio_api/runs",
        "/gradio_api/vibe-code",
        "/gradio_api/app_id",
    ],
)
def test_other_addresses_are_closed(path, site):
    assert site.client.get(path, follow_redirects=False).status_code == 403


@pytest.mark.parametrize(
    "path",
    [
        "/login",
        "/gradio_api/run/predict",
        "/gradio_api/api/predict",
        "/gradio_api/call/uploaded",
        "/gradio_api/vibe-edit",
        "/gradio_api/component_server",
        "/gradio_api/process_recording",
        "/gradio_api/stream/1",
    ],
)
def test_other_functions_are_closed(path, site):
    assert site.client.post(path, json={}, headers=HOME).status_code == 403


def test_the_page_itself_is_served(site):
    page = site.client.get("/")
    assert page.status_code == 200
    assert "frame-ancestors" in page.headers["Content-Security-Policy"]


def test_a_client_that_goes_away_is_no_error():
    requests = pytest.importorskip("starlette.requests")
    sent = []

    async def gone(scope, receive, send):
        raise requests.ClientDisconnect

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/gradio_api/upload", "headers": []}
    with ThreadPoolExecutor() as threads:  # the browser of other tests has its own loop in this thread
        threads.submit(asyncio.run, guard.Guard(gone, Path("/nowhere"))(scope, None, send)).result()
    assert sent[0]["status"] == 400
