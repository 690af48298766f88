"""The page of `lptpp app` under bad uploads, one by one and at once, and clients that send half a file.

After each of them it still classifies a picture; it does not grow, answers nothing with an error of its own, and opens
no file that was not uploaded.
"""

import json
import re
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from random import Random

from benchmarks.reliability.forks import Fork, command, in_lanes
from benchmarks.reliability.promise import Promise, Verdict
from benchmarks.reliability.promises.bad_images import bad_images
from benchmarks.reliability.promises.memory_use import resident
from benchmarks.reliability.world import World
from tests.data.hostile_images import HOSTILE

AT_ONCE = 50
MOST_GROWTH = 200  # megabytes
BOUNDARY = "x7x7x"
NAMES = (
    "../../a.png",
    "a\x1b[2J.png",
    "a" * 4000 + ".png",
    "",
    ".png",
    "a/b\\c.png",
    "con.png",
    "\u202egnp.exe",
    "a%00.png",
)


class Site:
    """The server at a port, as its page uses it."""

    def __init__(self, port: int) -> None:
        self.port = port

    def ask(self, method: str, path: str, body: bytes = b"", kind: str = "application/json") -> tuple[int, str]:
        """Send one request; return the status and the text of the answer."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=120)
        connection.request(method, path, body or None, {"Content-Type": kind})
        answer = connection.getresponse()
        return answer.status, answer.read().decode(errors="replace")

    def upload(self, name: str, content: bytes) -> tuple[int, str]:
        """Upload a file as a browser does."""
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n\r\n'.encode()
        body = head + content + f"\r\n--{BOUNDARY}--\r\n".encode()
        return self.ask("POST", "/gradio_api/upload", body, f"multipart/form-data; boundary={BOUNDARY}")

    def classify(self, path: object, session: str) -> tuple[int, str]:
        """Ask for the predictions of an uploaded file; return the status and the events that follow."""
        config = json.loads(self.ask("GET", "/config")[1])
        (number,) = (one["id"] for one in config["dependencies"] if one["targets"][0][1] == "upload")
        file = {"path": path, "meta": {"_type": "gradio.FileData"}}
        body = {"fn_index": number, "session_hash": session, "data": [[file]]}
        status, text = self.ask("POST", "/gradio_api/queue/join", json.dumps(body).encode())
        return self.ask("GET", f"/gradio_api/queue/data?session_hash={session}") if status == 200 else (status, text)

    def problem(self, name: str, content: bytes, expected: str, session: str) -> str | None:
        """Upload a file and classify it; return what is wrong with the answers."""
        status, text = self.upload(name, content)
        if 400 <= status < 500:
            return None
        if status != 200:
            return f"upload of {name!r}: {status} {text}"
        status, events = self.classify(json.loads(text)[0], session)
        fine = status == 200 and "process_completed" in events and '"success":true' in events.replace(" ", "")
        return None if fine and expected in events and "Traceback" not in events else f"{name!r}: {status} {events}"


def verdicts(world: World, count: int) -> Iterator[Verdict]:
    """Start one server; try `count` bad uploads, 50 at once, and clients that stop halfway."""
    folder = world.scratch("page")
    server = Fork(command("app", world.run, "--port", 0), folder / "server.output")
    try:
        site = Site(_port(server))
        if problem := _good(site, world, "first"):
            raise RuntimeError(problem)
        before = resident(server.pid)
        trials = [(f"upload {seed}", partial(_bad, site, seed)) for seed in range(count)]
        yield from in_lanes(trials, folder / "uploads")
        special = {"50 at once": _at_once, "half a file": _half, "a client that waits": _waiting}
        yield from in_lanes(
            [(name, partial(trial, site, world)) for name, trial in special.items()], folder / "special"
        )
        grown = (resident(server.pid) - before) / 2**20
        problem = _good(site, world, "last") or (f"{grown:.0f} MB more" if grown > MOST_GROWTH else None)
        yield Verdict("afterwards", problem)
    finally:
        server.process.terminate()
        done = server.wait(60)
    yield Verdict("the end", None if done.status == 0 and "Traceback" not in done.output else f"{done}")


def _port(server: Fork) -> int:
    """Wait for the address that the server prints."""
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline and server.process.is_alive():
        if found := re.search(r"http://127\.0\.0\.1:(\d+)", server.log.read_text() if server.log.exists() else ""):
            return int(found[1])
        time.sleep(0.05)
    raise RuntimeError(f"the page does not start: {server.log.read_text()}")


def _good(site: Site, world: World, session: str) -> str | None:
    content = (world.pictures / "test" / "car" / "0.png").read_bytes()
    return site.problem("good.png", content, "article class=", session)


def _bad(site: Site, seed: int, folder: Path) -> str | None:
    """One bad upload: an image that is none, a bomb, a strange name, a broken form, a path of another file."""
    draw, session, kind = Random(seed), f"s{seed}", seed % 5
    if kind == 0:
        (name,) = bad_images(folder, 1) if seed == 0 else bad_images(folder, 1 + seed % 40)[-1:]
        return site.problem(name, (folder / name).read_bytes(), name, session)
    if kind == 1:
        name = draw.choice(sorted(HOSTILE))
        return site.problem(name, HOSTILE[name](), name, session)
    if kind == 2:
        return site.problem(draw.choice(NAMES), draw.randbytes(100), "", session)
    if kind == 3:
        body = draw.choice((b"", draw.randbytes(1000), f"--{BOUNDARY}\r\n".encode(), b"--x\r\n\r\n--x--"))
        form = draw.choice(
            ("multipart/form-data", f"multipart/form-data; boundary={BOUNDARY}", "text/plain", "x" * 3000)
        )
        status, text = site.ask("POST", "/gradio_api/upload", body, form)
        return None if status < 500 else f"{form[:40]}: {status} {text}"
    path = draw.choice(
        ("/etc/passwd", str(folder), "/dev/zero", "http://127.0.0.1:1/a.png", "../a", None, 7, [], {"path": 1})
    )
    status, text = site.classify(path, session)
    return None if status == 403 else f"{path}: {status} {text}"


def _at_once(site: Site, world: World, folder: Path) -> str | None:
    names = bad_images(folder, AT_ONCE)

    def one(name: str) -> str | None:
        return site.problem(name, (folder / name).read_bytes(), name, f"once {name}".replace(" ", "-"))

    with ThreadPoolExecutor(AT_ONCE) as threads:
        problems = [problem for problem in threads.map(one, names) if problem]
    return problems[0] if problems else None


def _half(site: Site, world: World, folder: Path) -> str | None:
    for size in (1_000, 1_000_000, 99_000_000):
        with _begun(site, size) as client:
            client.sendall(b"x" * min(size // 2, 2**20))
    return _good(site, world, "half")


def _waiting(site: Site, world: World, folder: Path) -> str | None:
    clients = [_begun(site, 1_000_000) for _ in range(AT_ONCE)]
    problem = _good(site, world, "waiting")
    for client in clients:
        client.close()
    return problem


def _begun(site: Site, size: int) -> socket.socket:
    """Return a connection that has announced an upload of `size` bytes and sent its beginning."""
    client = socket.create_connection(("127.0.0.1", site.port), timeout=60)
    client.sendall(
        f"POST /gradio_api/upload HTTP/1.1\r\nHost: 127.0.0.1:{site.port}\r\nContent-Length: {size}\r\n"
        f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n\r\n"
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\n'.encode()
    )
    return client


PROMISE = Promise(
    "the page under bad uploads, 50 at once, clients that send half a file", verdicts, 200, 10, seconds=0.4, once=30.0
)
