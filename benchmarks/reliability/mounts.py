"""Small file systems of this process alone, to be filled or made read-only; needs Linux."""

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.reliability.promise import NotHere

CLONE_NEWNS, CLONE_NEWUSER = 0x00020000, 0x10000000
MS_RDONLY, MS_REMOUNT, MS_REC, MS_PRIVATE, MNT_DETACH = 1, 32, 16384, 1 << 18, 2


class Disk:
    """A file system in memory below a folder of this process and those that it forks."""

    def __init__(self, folder: Path, megabytes: int) -> None:
        self.folder = folder
        folder.mkdir()
        _call("mount", b"tmpfs", bytes(folder), b"tmpfs", 0, f"size={megabytes}m".encode())

    def make_read_only(self, wanted: bool) -> None:
        """Refuse writes, or accept them again."""
        flags = MS_REMOUNT | (MS_RDONLY if wanted else 0)
        _call("mount", b"tmpfs", bytes(self.folder), b"tmpfs", flags, None)

    def fill(self, left: int = 0) -> None:
        """Write until only `left` kilobytes fit."""
        with (self.folder / "ballast").open("ab", buffering=0) as file:
            for size in (2**16, 2**12, 1):
                try:
                    while file.write(bytes(size)):
                        pass
                except OSError:
                    continue
            file.truncate(max(0, file.tell() - 1024 * left))

    def make_room(self) -> None:
        """Remove what `fill` wrote."""
        (self.folder / "ballast").unlink(missing_ok=True)


@contextmanager
def disk(folder: Path, megabytes: int = 64) -> Iterator[Disk]:
    """Yield a file system of a size, in a name space of its own."""
    own_mounts()
    made = Disk(folder, megabytes)
    try:
        yield made
    finally:
        _call("umount2", bytes(folder), MNT_DETACH)


def own_mounts() -> None:
    """Let this process mount file systems that no other one sees.

    Raises:
        NotHere: it must not.
    """
    if not hasattr(ctypes.CDLL(None), "unshare"):
        raise NotHere("not tried: needs Linux")
    user, group = os.getuid(), os.getgid()
    if user:
        _call("unshare", CLONE_NEWUSER | CLONE_NEWNS)
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {user} 1")
        Path("/proc/self/gid_map").write_text(f"0 {group} 1")
    else:
        _call("unshare", CLONE_NEWNS)
    _call("mount", b"none", b"/", None, MS_REC | MS_PRIVATE, None)


def can_mount(folder: Path) -> None:
    """Raise `NotHere` in a process that may not mount; tried in a process of its own."""
    from benchmarks.reliability.forks import ended

    def attempt() -> None:
        with disk(folder / "tried", 1):
            pass

    done = ended(attempt, folder)
    if done.status:
        raise NotHere(f"not tried: file systems cannot be mounted here ({done.last})")


def _call(name: str, *arguments: object) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    if getattr(library, name)(*arguments):
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
