"""`lptpp app`: the model is loaded once, then a page on this computer answers."""

import contextlib
import logging
import os
import signal
import socket
import tempfile
import webbrowser
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lptpp.app.cards import style
from lptpp.app.examples import examples
from lptpp.app.neighbors import Neighbors, neighbors_of
from lptpp.app.page import build_page, gradio
from lptpp.app.predictions import PicturePredictor
from lptpp.data.dataset import Collection
from lptpp.data.prepare import collection_of
from lptpp.inference.model import Model, load
from lptpp.utils.errors import UserError

log = logging.getLogger("lptpp")
HOST = "127.0.0.1"
MOST_TRAINING_IMAGES = 20_000  # looked at without being asked to
# the browser is told to ask nobody but this server
POLICY = "default-src 'self' data: blob: 'unsafe-inline' 'unsafe-eval'; frame-ancestors 'self'"


def serve(run: Path, port: int, similar: bool | None, say: Callable[[str], None], open_browser: bool = False) -> None:
    """Answer on 127.0.0.1 until Ctrl-C; `say` gets the address.

    `similar` asks for similar training pictures; None: where there are few enough. Raises `UserError` where the run
    cannot be loaded, the port is taken, or Gradio is not installed.
    """
    with _listening(port) as listening, tempfile.TemporaryDirectory(prefix="lptpp-app-") as uploads:
        os.environ["GRADIO_TEMP_DIR"] = uploads
        gradio()
        page = _page(run, similar)
        address = f"http://{HOST}:{listening.getsockname()[1]}"
        say(f"The page is at {address} (Ctrl-C ends it).")
        if open_browser:
            webbrowser.open(address)
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # uploads are removed then, too
        with contextlib.suppress(KeyboardInterrupt):
            _run(page, listening)


def _listening(port: int) -> socket.socket:
    """Return a socket that browsers can already connect to; port 0 is any that is free."""
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((HOST, port))
    except (OSError, OverflowError) as error:
        listening.close()
        raise UserError(f"Port {port} cannot be used ({error}): choose another by --port.") from error
    listening.listen()
    return listening


def _page(run: Path, similar: bool | None) -> Any:
    model = load(run)
    collection = _collection(model)
    predictor = PicturePredictor(model, _neighbours(model, collection, run, similar))
    predictor.warm_up()
    return build_page(predictor, run.resolve().name, [] if collection is None else examples(model, collection))


def _collection(model: Model) -> Collection | None:
    """Return the pictures of the run; None where they are gone or others."""
    try:
        collection = collection_of(model.settings)
        if collection.class_names != model.class_names:
            raise UserError("The classes under data.root are not those the run was trained on.")
        return collection
    except UserError as error:
        log.warning("Neither examples nor similar training pictures are shown: %s", error)
        return None


def _neighbours(model: Model, collection: Collection | None, run: Path, similar: bool | None) -> Neighbors | None:
    if collection is None or similar is False:
        return None
    images = len(collection.train)
    if similar is None and images > MOST_TRAINING_IMAGES:
        log.info("Similar pictures are left out, for there are %s training images: --similar adds them.", f"{images:,}")
        return None
    try:
        return neighbors_of(model, collection, run)
    except UserError as error:
        log.warning("Similar training pictures are not shown: %s", error)
        return None


def _run(page: Any, listening: socket.socket) -> None:
    import uvicorn
    from fastapi import FastAPI
    from starlette.middleware.trustedhost import TrustedHostMiddleware

    gr = gradio()
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"])  # no other site's name leads here
    app.middleware("http")(_with_policy)
    theme = gr.themes.Default(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"])
    gr.mount_gradio_app(app, page, "/", theme=theme, css=style(), footer_links=[], run_history=False, show_error=False,
                        ssr_mode=False, mcp_server=False, enable_monitoring=False)  # fmt: skip
    settings = uvicorn.Config(app, log_level="error", timeout_graceful_shutdown=1)
    uvicorn.Server(settings).run(sockets=[listening])


async def _with_policy(request: Any, call_next: Any) -> Any:
    response = await call_next(request)
    response.headers["Content-Security-Policy"] = POLICY
    return response
