"""The server of `lptpp app`: loads a run once and serves the page on 127.0.0.1."""

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

from lptpp.app.examples import Examples
from lptpp.app.guard import LARGEST_UPLOAD, Guard
from lptpp.app.neighbors import Neighbors, neighbors_of
from lptpp.app.page import build_page, gradio, style
from lptpp.app.predictions import ImagePredictor
from lptpp.checkpoint.images import run_dataset
from lptpp.config.validate import check_megapixels
from lptpp.data.dataset import ImageDataset
from lptpp.inference.model import Model, load
from lptpp.utils.errors import UserError

log = logging.getLogger("lptpp")
HOST = "127.0.0.1"
MOST_TRAINING_IMAGES = 20_000  # above, similar images require --similar
# the browser may contact this server only
POLICY = "default-src 'self' data: blob: 'unsafe-inline' 'unsafe-eval'; frame-ancestors 'self'"


def serve(
    run: Path,
    port: int,
    similar: bool | None,
    show: Callable[[str], None],
    open_browser: bool = False,
    largest_megapixels: float | None = None,
) -> None:
    """Serve the page on 127.0.0.1 until Ctrl-C; `show` prints the address.

    `similar` switches similar training images on or off; None: on up to 20,000 training images. `largest_megapixels`
    is the limit on uploaded images; None: that of the run.

    Raises:
        UserError: the run cannot be loaded, the port is in use, or the extra `app` is not installed.
    """
    check_megapixels(largest_megapixels)
    with _listening(port) as listening, tempfile.TemporaryDirectory(prefix="lptpp-app-") as uploads:
        os.environ["GRADIO_TEMP_DIR"] = str(Path(uploads).resolve())
        gradio()
        page = _page(run, similar, largest_megapixels)
        address = f"http://{HOST}:{listening.getsockname()[1]}"
        show(f"Serving on {address} (press Ctrl-C to stop)")
        if open_browser:
            webbrowser.open(address)
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that uploads are removed
        with contextlib.suppress(KeyboardInterrupt):
            _run(page, listening)


def _listening(port: int) -> socket.socket:
    """Return a listening socket; port 0 selects a free one."""
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((HOST, port))
    except (OSError, OverflowError) as error:
        listening.close()
        raise UserError(f"--port {port}: {error}; choose another port.") from error
    listening.listen()
    return listening


def _page(run: Path, similar: bool | None, largest_megapixels: float | None) -> Any:
    model = load(run)
    collection = _collection(model)
    decoding = model.decoding.up_to(largest_megapixels)
    predictor = ImagePredictor(model, _neighbors(model, collection, run, similar), decoding)
    predictor.warm_up()
    return build_page(predictor, run.resolve().name, None if collection is None else Examples(model, collection))


def _collection(model: Model) -> ImageDataset | None:
    """Return the data set of the run, None if it is missing or has other classes."""
    try:
        collection = run_dataset(model.settings)
        if collection.class_names != model.class_names:
            raise UserError("the classes of the data set are not those the run was trained on.")
        return collection
    except UserError as error:
        log.warning("Examples and similar training images are not shown: %s", error)
        return None


def _neighbors(model: Model, collection: ImageDataset | None, run: Path, similar: bool | None) -> Neighbors | None:
    if collection is None or similar is False:
        return None
    images = len(collection.train)
    if similar is None and images > MOST_TRAINING_IMAGES:
        log.info("Similar images are not shown (%s training images); use --similar to show them.", f"{images:,}")
        return None
    try:
        return neighbors_of(model, collection, run)
    except UserError as error:
        log.warning("Similar training images are not shown: %s", error)
        return None


def _run(page: Any, listening: socket.socket) -> None:
    import uvicorn

    settings = uvicorn.Config(application(page), log_level="error", timeout_graceful_shutdown=1)
    uvicorn.Server(settings).run(sockets=[listening])


def application(page: Any) -> Any:
    """Return the web application of a page: Gradio behind `Guard`, for this computer only."""
    from fastapi import FastAPI
    from starlette.middleware.trustedhost import TrustedHostMiddleware

    gr = gradio()
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(Guard, uploads=Path(os.environ["GRADIO_TEMP_DIR"]))
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"])  # against DNS rebinding
    app.middleware("http")(_with_policy)
    theme = gr.themes.Default(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"])
    gr.mount_gradio_app(app, page, "/", theme=theme, css=style(), footer_links=[], run_history=False, show_error=False,
                        ssr_mode=False, mcp_server=False, enable_monitoring=False,
                        max_file_size=int(LARGEST_UPLOAD * 1e6))  # fmt: skip
    page.has_launched = True  # otherwise Gradio does not check that a file was uploaded
    return app


async def _with_policy(request: Any, call_next: Any) -> Any:
    response = await call_next(request)
    response.headers["Content-Security-Policy"] = POLICY
    return response
