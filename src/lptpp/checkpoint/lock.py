"""The lock of a run folder: one `lptpp fit` at a time."""

import logging
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from lptpp.utils.disk import no_link, writing
from lptpp.utils.errors import UserError

log = logging.getLogger("lptpp")
LOCK = ".lock"
_held: set[IO[str]] = set()


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold the lock of a run folder. The kernel releases it when the process ends, however it ends.

    Raises:
        UserError: another process holds it; the message names the process and its machine.
    """
    import fcntl  # not on Windows, where training does not run

    with writing(folder / LOCK):
        file = open(folder / LOCK, "a+", encoding="utf-8", opener=no_link)  # noqa: SIM115 (takes an opener)
    with file:
        _lock(file, fcntl.LOCK_EX, folder)
        _held.add(file)
        try:
            file.truncate(0)
            with writing(folder / LOCK):
                os.write(file.fileno(), f"process {os.getpid()} on {platform.node()}".encode())
            yield
        finally:
            _held.discard(file)
            if not file.closed:  # as it is in a forked process
                file.truncate(0)


def refuse_if_held(folder: Path) -> None:
    """Raise `UserError` if another process holds the lock of a run folder; writes nothing."""
    import fcntl

    if not (folder / LOCK).is_file():
        return
    with (folder / LOCK).open(encoding="utf-8") as file:
        _lock(file, fcntl.LOCK_SH, folder)


def _lock(file: IO[str], kind: int, folder: Path) -> None:
    import fcntl

    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        raise UserError(_refusal(folder, file)) from None
    except OSError as error:  # some network file systems have no locks
        log.warning("%s cannot be locked (%s): do not start `lptpp fit` on it twice.", folder, error.strerror)


def _refusal(folder: Path, file: IO[str]) -> str:
    file.seek(0)
    holder = file.read(300).strip() or "another process"
    return f"{folder} is in use by another `lptpp fit` ({holder}): wait for it, stop it, or set another run=FOLDER."


def _leave() -> None:
    """Close the lock in a forked process, such as a loader worker, which may outlive a killed owner."""
    for file in _held:
        file.close()
    _held.clear()


os.register_at_fork(after_in_child=_leave)
