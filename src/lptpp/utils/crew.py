"""The processes that work in one folder, on any machines that share its disk: who is at work, and who claimed what.

Each process has a file there, which it touches while it works. A claim NAME.claim.N names its owner; a process
takes what nobody holds by creating the file with the next number, which succeeds in exactly one process, on NFS too.
Nobody holds the claims of a process that has left, that has ended (if it ran on this machine), or whose file was not
touched for `LAPSE` seconds by the clock of the disk. Locks of the kernel are not used: network disks may ignore them.
"""

import errno
import json
import os
import platform
import re
import secrets
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from lptpp.utils.disk import CannotWrite, create, make_folder, process_exists

INTERVAL, LAPSE = 20.0, 600.0  # seconds between two touches, and without one until a process is taken for dead
MEMBER = ".process"  # suffix of the file of a process


class Crew:
    """This process among those that work in `folder`, while the context is entered."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.name = f"{platform.node()}.{os.getpid()}.{secrets.token_hex(4)}{MEMBER}"
        self._left = threading.Event()

    def __enter__(self) -> "Crew":
        content = json.dumps(
            {
                "host": platform.node(),
                "process": os.getpid(),
                "machine": _machine(),
                "started": _started(os.getpid()),
            }
        )
        while not self._entered(content):
            pass  # the last process has just removed the empty folder
        threading.Thread(target=self._touch, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._left.set()
        with suppress(OSError):
            for member in self._members():
                if self._alive(member) is None:
                    member.unlink(missing_ok=True)
            (self.folder / self.name).unlink()
            self.folder.rmdir()  # empty: this was the last process
            self.folder.parent.rmdir()

    def at_work(self, folder: Path | None = None) -> list[str]:
        """Return what the other processes that work in a folder, by default this one, are called."""
        members = self._members(folder)
        return [_called(content) for member in members if (content := self._alive(member)) is not None]

    def claim(self, path: Path) -> int:
        """Claim `path`, which need not exist; return the number of the claim, 0 if another process holds one.

        A claim of this process gives way to its next one.
        """
        before = _numbers(path)
        last = max(before, default=0)
        if (last and self._holder(_claim(path, last))) or not create(_claim(path, last + 1), self.name.encode()):
            return 0
        for number in _numbers(path) - before - {last + 1}:  # claimed meanwhile, as the old claims were removed
            if self._holder(_claim(path, number)):
                _claim(path, last + 1).unlink(missing_ok=True)
                return 0
        return last + 1

    def holder(self, path: Path) -> str | None:
        """Return what the other process is called that holds a claim; None if there is none."""
        last = max(_numbers(path), default=0)
        return self._holder(_claim(path, last)) if last else None

    def _members(self, folder: Path | None = None) -> list[Path]:
        """Return the files of the other processes."""
        folder = folder or self.folder
        return [folder / name for name in sorted(_names(folder)) if name.endswith(MEMBER) and name != self.name]

    def _entered(self, content: str) -> bool:
        make_folder(self.folder)
        try:
            return create(self.folder / self.name, content.encode())
        except CannotWrite as error:
            if error.errno == errno.ENOENT:
                return False
            raise

    def _touch(self) -> None:
        while not self._left.wait(INTERVAL):
            with suppress(OSError):
                os.utime(self.folder / self.name)

    def _now(self) -> float:
        """Return the time by the clock of the disk, which may differ from that of this machine."""
        own = self.folder / self.name
        try:
            os.utime(own)
            return own.stat().st_mtime
        except FileNotFoundError:  # removed, as this process did not respond for long
            return time.time()

    def _holder(self, claim: Path) -> str | None:
        """Return what the owner of a claim is called; None if it no longer works, or is this process."""
        found = _read(claim)
        if found is None:
            return None
        owner, written = found
        if not owner:  # its creator is about to write it, or was killed just then
            return "another process" if self._now() - written < LAPSE else None
        content = None if owner == self.name else self._alive(self.folder / owner)
        return None if content is None else _called(content)

    def _alive(self, member: Path) -> dict[str, Any] | None:
        """Return the content of the file of a process, None if the process no longer works."""
        found = _read(member)
        if found is None:
            return None
        text, touched = found
        try:
            content = json.loads(text)
        except ValueError:  # it is being written
            content = {}
        here = content.get("machine") == _machine()
        if here and not (process_exists(content["process"]) and _started(content["process"]) == content["started"]):
            return None
        return content if self._now() - touched < LAPSE else None


def superseded(path: Path, number: int) -> bool:
    """Return whether another process has taken over a claim: its owner was taken for dead."""
    return _claim(path, number + 1).exists()


def remove_claims(path: Path) -> None:
    """Remove all claims of `path`."""
    for number in _numbers(path):
        _claim(path, number).unlink(missing_ok=True)


def _claim(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.claim.{number}")


def _numbers(path: Path) -> set[int]:
    """Return the numbers of the claims of `path`."""
    pattern = re.compile(rf"{re.escape(path.name)}\.claim\.(\d+)")
    return {int(found[1]) for name in _names(path.parent) if (found := pattern.fullmatch(name))}


def _names(folder: Path) -> Iterable[str]:
    try:
        return os.listdir(folder)  # noqa: PTH208 (names)
    except FileNotFoundError:
        return []


def _read(path: Path) -> tuple[str, float] | None:
    """Return the text of a small file and when it was touched, as its disk knows after opening; None if it is gone."""
    try:
        with path.open(encoding="utf-8") as file:
            return file.read(), os.fstat(file.fileno()).st_mtime
    except (FileNotFoundError, NotADirectoryError):
        return None


def _called(content: dict[str, Any]) -> str:
    return f"process {content['process']} on {content['host']}" if content else "another process"


def _machine() -> str:
    """Return what tells whether a number of a process belongs to this machine: host, its start, its process table."""
    try:
        start = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        table = str(Path("/proc/self/ns/pid").readlink())  # containers may share a host name
    except OSError:
        start = table = ""
    return f"{platform.node()} {start} {table}"


def _started(process: int) -> str:
    """Return when a process started, in ticks, as numbers of processes are used again; empty if it is unknown."""
    try:
        state = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        return "ended" if state[0] in "ZX" else state[19]
    except (OSError, IndexError):
        return ""
