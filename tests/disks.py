"""A disk that takes no more: at a chosen write, or in reality."""

import builtins
import errno
import io
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest


class Disk:
    """Counts the writes below a folder: opened files, new folders, renamed and synced files.

    From number `full_from` on, all of them fail.
    """

    def __init__(self, folder: Path, full_from: int | None = None, number: int = errno.ENOSPC) -> None:
        self.folder, self.full_from, self.number = folder, full_from, number
        self.points = list[str]()

    def take(self, kind: str, path: Any) -> None:
        place = Path(f"/proc/self/fd/{path}").readlink() if isinstance(path, int) else Path(os.fsdecode(path))
        if not place.absolute().is_relative_to(self.folder) or place.is_dir():  # existing folders take no room
            return
        self.points.append(f"{kind} {place.relative_to(self.folder)}")
        if self.full_from is not None and len(self.points) > self.full_from:
            raise OSError(self.number, os.strerror(self.number), None if kind == "fsync" else str(path))

    @contextmanager
    def mounted(self) -> Iterator["Disk"]:
        """Watch this process."""
        with pytest.MonkeyPatch.context() as patch:
            for owner in (builtins, io):
                patch.setattr(owner, "open", self._opening(owner.open))
            for name in ("mkdir", "rename", "replace", "fsync"):
                patch.setattr(os, name, self._before(name, getattr(os, name)))
            yield self

    def _opening(self, original: Callable) -> Callable:
        def watched(file: Any, mode: str = "r", *arguments: Any, **options: Any) -> Any:
            if set(mode) & set("wax+") and not isinstance(file, int):
                self.take("open", file)
            return original(file, mode, *arguments, **options)

        return watched

    def _before(self, name: str, original: Callable) -> Callable:
        def watched(path: Any, *arguments: Any, **options: Any) -> Any:
            self.take(name, path)
            return original(path, *arguments, **options)

        return watched


@contextmanager
def small_disk(folder: Path, kilobytes: int) -> Iterator[Path]:
    """Mount a disk of this size at a folder; skip the test where that is not allowed."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "none", str(folder)]
    if os.geteuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a disk needs root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def fill(folder: Path, left: int) -> Path:
    """Fill the disk of a folder up to `left` kilobytes, and return the file to remove."""
    free = os.statvfs(folder)
    ballast = folder / "ballast"
    ballast.write_bytes(b"\0" * max(0, free.f_bavail * free.f_frsize - 1024 * left))
    return ballast
