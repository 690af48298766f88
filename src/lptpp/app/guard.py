"""What reaches Gradio: requests of the page itself, to the routes that it uses, naming no file but uploaded ones.

Gradio's own check of the paths that a client names is off in a mounted page, and it fetches URLs.
"""

import json
import re
import stat
from pathlib import Path
from typing import Any

LARGEST_UPLOAD = 100  # MB per file
LARGEST_CALL = 1_000_000  # bytes of the JSON that calls a function of the page
READS = re.compile(
    r"/(config|theme\.css|favicon\.ico|manifest\.json|robots\.txt|(assets|static)/.+|gradio_api/"
    r"(startup-events|upload_progress|queue/data|heartbeat/[^/]+))?"
)
WRITES = re.compile(r"/gradio_api/(upload|queue/join|cancel|reset)")
CALL, FILE = "/gradio_api/queue/join", "/gradio_api/file="
Message = dict[str, Any]


class Guard:
    """ASGI middleware that refuses requests of other pages, to other routes, and for files that were not uploaded."""

    def __init__(self, app: Any, uploads: Path) -> None:
        self.app = app
        self.uploads = uploads.resolve()

    async def __call__(self, scope: Message, receive: Any, send: Any) -> None:
        """Pass the request on, or answer with the reason why not."""
        from starlette.requests import ClientDisconnect
        from starlette.responses import PlainTextResponse

        if scope["type"] == "lifespan":
            return await self.app(scope, receive, send)
        problem = self._problem(scope)
        if problem is None and scope["path"] == CALL:
            body = await _body(receive)
            problem = self._problem_of_call(body)
            receive = _replayed(body, receive)
        if problem is None:
            try:
                return await self.app(scope, receive, send)
            except ClientDisconnect:  # nobody reads the answer; without one, the server logs an error
                return await PlainTextResponse("The request was cut off.", 400)(scope, receive, send)
        await PlainTextResponse(problem, 403)(scope, receive, send)

    def is_upload(self, name: object) -> bool:
        """Return whether this is the path of a regular file in the upload folder, no link, and not too large."""
        try:
            path = Path(str(name))
            found = path.lstat()
            inside = path.resolve(strict=True) == path and path.is_relative_to(self.uploads)
        except (OSError, ValueError, RuntimeError):
            return False
        return inside and stat.S_ISREG(found.st_mode) and found.st_size <= LARGEST_UPLOAD * 1e6

    def _problem(self, scope: Message) -> str | None:
        method, path = scope.get("method"), scope["path"]
        if method in ("GET", "HEAD"):
            served = READS.fullmatch(path) or (path.startswith(FILE) and self.is_upload(path.removeprefix(FILE)))
            return None if served else "The page does not serve this address."
        headers = {key.decode("latin-1"): value.decode("latin-1") for key, value in scope["headers"]}
        if headers.get("origin", f"http://{headers.get('host')}") != f"http://{headers.get('host')}":
            return "Only the page itself may send this request."
        return None if method == "POST" and WRITES.fullmatch(path) else "The page does not serve this address."

    def _problem_of_call(self, body: bytes | None) -> str | None:
        if body is None:
            return f"The request has more than {LARGEST_CALL:,} bytes."
        try:
            named = _paths(body)
        except (ValueError, RecursionError):
            return "The request is not valid JSON."
        return None if all(map(self.is_upload, named)) else "The request names a file that was not uploaded here."


async def _body(receive: Any) -> bytes | None:
    """Return the body of a request; None if it is too large or was cut off."""
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > LARGEST_CALL or message["type"] != "http.request":
            return None
    return body


def _replayed(body: bytes | None, receive: Any) -> Any:
    """Return a `receive` that gives the body that was read, and then what follows it."""
    messages = [{"type": "http.request", "body": body or b"", "more_body": False}]

    async def replay() -> Message:
        return messages.pop() if messages else await receive()

    return replay


def _paths(body: bytes) -> list[object]:
    """Return everything called "path" in a JSON text, at any depth: how Gradio names files."""
    found: list[object] = []
    json.loads(body, object_pairs_hook=lambda pairs: found.extend(value for key, value in pairs if key == "path"))
    return found
