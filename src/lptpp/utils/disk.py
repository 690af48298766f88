"""Writing to disk: each file completely or not at all, and one error for a disk that takes no more.

All files of the package are written through this module (a test compares), so that every full, read-only or faulty disk
ends in one sentence: what cannot be written, why, what to do, what is safe.
"""

import errno
import glob
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS)  # of writing, whatever file they name
WITHOUT_NUMBER = re.compile(r"\(os error (\d+)\)|requested and \d+ written")  # of safetensors, of NumPy
ADVICE = {
    errno.ENOSPC: "make room",
    errno.EDQUOT: "make room",
    errno.EFBIG: "raise the limit on the size of files",
    errno.EROFS: "make it writable or choose another folder",
    errno.EACCES: "make it writable or choose another folder",
    errno.ELOOP: "put a file in the place of the link",
    errno.EPERM: "make it writable or choose another folder",
}
KEPT = "Files that were complete before are unchanged."


class CannotWrite(OSError):
    """A file or folder cannot be written; the message says why, what to do, and what is safe."""

    def __init__(self, path: str | Path, error: Exception, safe: str = "") -> None:
        number = _number(error) or errno.EIO
        super().__init__(number, os.strerror(number), str(path))
        self.safe = safe

    def __str__(self) -> str:
        advice = ADVICE.get(self.errno or 0, "check the disk and the path")
        return (
            f"{self.filename} cannot be written ({self.strerror}): {advice}, then repeat the command."
            f" {self.safe or KEPT}"
        )


@contextmanager
def writing(path: str | Path) -> Iterator[None]:
    """Raise `CannotWrite` for every error of the disk while the block writes the file or folder `path`.

    Errors of other files, which the block may read, are not caught.
    """
    try:
        yield
    except CannotWrite:
        raise
    except (OSError, SafetensorError) as error:
        if _number(error) not in DISK and not _concerns(error, Path(path)):
            raise
        raise CannotWrite(path, error) from error


@contextmanager
def keeping(safe: str) -> Iterator[None]:
    """Say in every `CannotWrite` of the block what is safe, unless it says so already."""
    try:
        yield
    except CannotWrite as error:
        error.safe = error.safe or safe
        raise


def _number(error: Exception) -> int | None:
    """Return the number of an error of the operating system, None for another error."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno
    found = WITHOUT_NUMBER.search(str(error))
    return found and int(found[1] or errno.ENOSPC)


def _concerns(error: Exception, path: Path) -> bool:
    """Return whether an error names `path`, a folder above it, or the temporary file next to it."""
    named = getattr(error, "filename", None)
    if named is None:
        return False
    found = Path(os.fsdecode(named))
    return found == path or found in path.parents or found.name.startswith(f".{path.name}.")


def make_folder(path: str | Path) -> None:
    """Make a folder and those above it, unless they exist."""
    with writing(path):
        Path(path).mkdir(parents=True, exist_ok=True)


@contextmanager
def atomic_write(path: str | Path, mode: str = "w") -> Iterator[Any]:
    """Open a temporary file (mode w or wb) that replaces `path` on success; after an error `path` is unchanged.

    Raises:
        CannotWrite: the disk does not take it.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    text = {} if "b" in mode else {"encoding": "utf-8", "newline": ""}
    remove_partials(path.parent, path.name)
    with writing(path):
        try:
            with temporary.open(mode, **text) as file:  # type: ignore[call-overload]
                yield file
                file.flush()
                os.fsync(file.fileno())  # on disk before it replaces the old file
            temporary.replace(path)
        finally:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)


def append(path: Path, content: bytes, sync: bool = False) -> None:
    """Append to a file, which is unchanged after an error; `sync` returns only when the content is on disk.

    Raises:
        CannotWrite: the disk does not take it.
    """
    with writing(path), open(path, "ab", buffering=0, opener=no_link) as file:
        end, rest = file.tell(), memoryview(content)
        try:
            while rest:
                rest = rest[file.write(rest) :]
            if sync:
                os.fsync(file.fileno())
        except OSError:
            with suppress(OSError):
                file.truncate(end)
            raise


def create(path: Path, content: bytes) -> bool:
    """Create a small file; return False if it exists. Of several processes, on any machines, exactly one succeeds.

    Raises:
        CannotWrite: the disk does not take it, or there is no such folder.
    """
    with writing(path):
        try:
            file = path.open("xb", buffering=0)
        except FileExistsError:
            return False
        try:
            with file:
                file.write(content)
        except OSError:
            with suppress(OSError):
                path.unlink()
            raise
    return True


def copy(source: Path, path: Path) -> None:
    """Copy the content of a file.

    Raises:
        CannotWrite: the disk does not take it.
    """
    with atomic_write(path, "wb") as file, source.open("rb") as original:
        shutil.copyfileobj(original, file)


def no_link(name: str, flags: int) -> int:
    """Open a file, as `opener` of `open`, but none behind a link: a folder from someone else may link to any file."""
    return os.open(name, flags | getattr(os, "O_NOFOLLOW", 0), 0o666)


def remove_partials(folder: Path, name: str | None = None) -> None:
    """Remove what killed processes, those that no longer exist, left of a file `name`, by default of any, in a folder.

    Such files, and the folders of exports, are called .NAME.PROCESS.partial.
    """
    for path in folder.glob(f".{'*' if name is None else glob.escape(name)}.*.partial"):
        owner = re.fullmatch(r"\..+\.(\d+)\.partial", path.name)
        if owner is not None and not _runs(int(owner[1])):
            with suppress(OSError):  # a read-only disk
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink(missing_ok=True)


def _runs(process: int) -> bool:
    """Return whether another process with this number exists."""
    return process != os.getpid() and process_exists(process)


def process_exists(process: int) -> bool:
    """Return whether a process with this number exists."""
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True
