"""The log of the package in a file, next to the terminal."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lptpp.utils.disk import append
from lptpp.utils.text import VisibleFormatter

log = logging.getLogger("lptpp")


class LogFile(logging.Handler):
    """Appends to a file; one that cannot be written stops the run instead of losing lines."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path

    def emit(self, record: logging.LogRecord) -> None:
        """Append a line."""
        append(self.path, f"{self.format(record)}\n".encode("utf-8", "backslashreplace"))


@contextmanager
def logging_to(path: Path) -> Iterator[None]:
    """Write the log of the package to a file as well, with its progress unless the program has chosen a level."""
    handler, level = LogFile(path), log.level
    handler.setFormatter(VisibleFormatter("%(asctime)s %(message)s"))
    log.addHandler(handler)
    log.setLevel(level or logging.INFO)
    try:
        yield
    finally:
        log.setLevel(level)
        log.removeHandler(handler)
        handler.close()
