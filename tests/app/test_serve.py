import logging
import shutil
import socket
import sys
from pathlib import Path

import pytest

from lptpp.app import page, serve
from lptpp.app.neighbors import FILE
from lptpp.utils.errors import UserError


@pytest.fixture
def answering(monkeypatch) -> list:
    """The pages that would be served: tests do not wait for visitors."""
    pages = []
    monkeypatch.setattr(serve, "_run", lambda page, listening: pages.append((page, listening.getsockname())))
    monkeypatch.setattr(serve.signal, "signal", lambda *arguments: None)
    return pages


def test_the_address_is_told_and_opened_on_this_computer_alone(run, answering, monkeypatch):
    messages, opened = [], []
    monkeypatch.setattr(serve.webbrowser, "open", opened.append)
    serve.serve(run, 0, False, messages.append, open_browser=True)
    ((_, (host, port)),) = answering
    assert host == "127.0.0.1"
    assert messages == [f"The page is at http://127.0.0.1:{port} (Ctrl-C ends it)."]
    assert opened == [f"http://127.0.0.1:{port}"]
    assert not (run / FILE).exists()


def test_no_statistics_are_sent_whatever_the_environment_says(run, answering, monkeypatch):
    monkeypatch.setenv("GRADIO_ANALYTICS_ENABLED", "True")
    serve.serve(run, 0, False, print)
    ((blocks, _),) = answering
    assert not blocks.analytics_enabled
    assert serve.os.environ["GRADIO_ANALYTICS_ENABLED"] == "False"


def test_many_training_images_are_looked_at_only_when_asked(run, answering, monkeypatch, caplog):
    monkeypatch.setattr(serve, "MOST_TRAINING_IMAGES", 16)
    with caplog.at_level(logging.INFO, logger="lptpp"):
        serve.serve(run, 0, None, print)
    assert "there are 17 training images: --similar adds them" in caplog.text
    assert not (run / FILE).exists()
    serve.serve(run, 0, True, print)
    assert (run / FILE).is_file()


def test_up_to_the_limit_they_are_looked_at_unasked(run, answering, monkeypatch):
    (run / FILE).unlink(missing_ok=True)
    monkeypatch.setattr(serve, "MOST_TRAINING_IMAGES", 17)
    serve.serve(run, 0, None, print)
    assert (run / FILE).is_file()


def test_a_run_without_its_pictures_still_answers(run, answering, tmp_path, caplog):
    folder = Path(shutil.copytree(run, tmp_path / "run"))
    settings = folder / "config.yaml"
    root = next(line for line in settings.read_text().splitlines() if line.strip().startswith("root:"))
    settings.write_text(settings.read_text().replace(root, "  root: /nowhere"))
    serve.serve(folder, 0, None, print)
    assert len(answering) == 1
    assert "Neither examples nor similar training pictures are shown: /nowhere is not a folder" in caplog.text


def test_training_pictures_that_are_all_broken_are_told(run, model, caplog, monkeypatch):
    collection = serve._collection(model)
    monkeypatch.setattr(collection.train, "images", [Path("/nowhere.png")] * 17)
    assert serve._neighbours(model, collection, run, None) is None
    assert "Similar training pictures are not shown: No image of the train part can be used" in caplog.text


def test_a_port_in_use_is_told_before_the_model_is_loaded(run, monkeypatch):
    monkeypatch.setattr(serve, "load", lambda run: pytest.fail("loaded"))
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(UserError, match=rf"Port {port} cannot be used .*: choose another by --port"):
            serve.serve(run, port, False, print)
    with pytest.raises(UserError, match="Port 70000 cannot be used"):
        serve.serve(run, 70000, False, print)


def test_without_gradio_the_extra_is_named(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "gradio", None)
    with pytest.raises(UserError, match=r'lptpp app needs an extra: run pip install "lptpp\[app\]"'):
        serve.serve(run, 0, False, print)


def test_a_folder_that_holds_no_run_is_told(tmp_path):
    with pytest.raises(UserError, match="holds no trained run"):
        serve.serve(tmp_path, 0, None, print)


def test_of_very_many_pictures_the_first_are_answered(run, answering, pictures, monkeypatch):
    monkeypatch.setattr(page, "MOST", 2)
    serve.serve(run, 0, False, print)
    blocks = answering[0][0]
    uploaded = next(fn.fn for fn in blocks.fns.values() if fn.name == "uploaded")
    html, box = uploaded([str(pictures / "test" / "car" / f"{i}.png") for i in range(3)])
    assert html.count('<article class="answer">') == 2
    assert page.MANY in html
    assert box is None
