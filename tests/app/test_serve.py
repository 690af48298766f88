import logging
import shutil
import socket
import sys
from pathlib import Path

import pytest

from lptpp.app import page, serve
from lptpp.app.neighbors import FILE
from lptpp.utils.errors import UserError
from tests import golden


def texts(address: str) -> str:
    """Return the sentences around the cards."""
    return "\n".join([address, page.INTRO, page.TOO_MANY, ""])


@pytest.fixture
def served(monkeypatch) -> list:
    """The pages that would be served; nothing is served."""
    pages = []
    monkeypatch.setattr(serve, "_run", lambda page, listening: pages.append((page, listening.getsockname())))
    monkeypatch.setattr(serve.signal, "signal", lambda *arguments: None)
    return pages


def test_the_address_is_local_printed_and_opened(run, served, monkeypatch):
    messages, opened = [], []
    monkeypatch.setattr(serve.webbrowser, "open", opened.append)
    serve.serve(run, 0, False, messages.append, open_browser=True)
    ((_, (host, port)),) = served
    assert host == "127.0.0.1"
    (message,) = messages
    assert f"http://127.0.0.1:{port} " in message
    golden.check("app_texts", texts(message.replace(str(port), "PORT")))
    assert opened == [f"http://127.0.0.1:{port}"]
    assert not (run / FILE).exists()


def test_telemetry_is_off_for_any_environment(run, served, monkeypatch):
    monkeypatch.setenv("GRADIO_ANALYTICS_ENABLED", "True")
    serve.serve(run, 0, False, print)
    ((blocks, _),) = served
    assert not blocks.analytics_enabled
    assert serve.os.environ["GRADIO_ANALYTICS_ENABLED"] == "False"


def test_many_training_images_require_the_option(run, served, monkeypatch, caplog):
    monkeypatch.setattr(serve, "MOST_TRAINING_IMAGES", 16)
    with caplog.at_level(logging.INFO, logger="lptpp"):
        serve.serve(run, 0, None, print)
    assert "17 training images" in caplog.text and "--similar" in caplog.text
    assert not (run / FILE).exists()
    serve.serve(run, 0, True, print)
    assert (run / FILE).is_file()


def test_up_to_the_limit_no_option_is_required(run, served, monkeypatch):
    (run / FILE).unlink(missing_ok=True)
    monkeypatch.setattr(serve, "MOST_TRAINING_IMAGES", 17)
    serve.serve(run, 0, None, print)
    assert (run / FILE).is_file()


def test_a_run_without_its_images_is_served(run, served, tmp_path, caplog):
    folder = Path(shutil.copytree(run, tmp_path / "run"))
    settings = folder / "config.yaml"
    root = next(line for line in settings.read_text().splitlines() if line.strip().startswith("root:"))
    settings.write_text(settings.read_text().replace(root, "  root: /nowhere"))
    serve.serve(folder, 0, None, print)
    assert len(served) == 1
    assert "/nowhere" in caplog.text


def test_unreadable_training_images_are_a_warning(run, model, caplog, monkeypatch):
    collection = serve._collection(model)
    monkeypatch.setattr(collection.train, "images", [Path("/nowhere.png")] * 17)
    assert serve._neighbors(model, collection, run, None) is None
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_a_port_in_use_is_refused_before_the_model_is_loaded(run, monkeypatch):
    monkeypatch.setattr(serve, "load", lambda run: pytest.fail("loaded"))
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(UserError, match=rf"--port {port}: "):
            serve.serve(run, port, False, print)
    with pytest.raises(UserError, match="--port 70000: "):
        serve.serve(run, 70000, False, print)


def test_a_missing_extra_is_named(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "gradio", None)
    with pytest.raises(UserError, match=r"lptpp app .*lptpp\[app\]"):
        serve.serve(run, 0, False, print)


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(UserError, match=str(tmp_path)):
        serve.serve(tmp_path, 0, None, print)


def test_only_the_first_of_many_images_are_classified(run, served, pictures, monkeypatch):
    monkeypatch.setattr(page, "MOST", 2)
    serve.serve(run, 0, False, print)
    blocks = served[0][0]
    uploaded = next(fn.fn for fn in blocks.fns.values() if fn.name == "uploaded")
    html, box = uploaded([str(pictures / "test" / "car" / f"{i}.png") for i in range(3)])
    assert html.count('<article class="prediction">') == 2
    assert page.TOO_MANY in html
    assert box is None
