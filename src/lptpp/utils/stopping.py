"""Where Ctrl-C and SIGTERM wait while a run trains: for a training step, which is then saved, and for nothing else."""

from collections.abc import Iterator
from contextlib import contextmanager

_waiting = False


@contextmanager
def waiting_for_step(wanted: bool = True) -> Iterator[None]:
    """Finish the step that the block is in before the run stops; if not `wanted`, stop within the block at once."""
    global _waiting
    before, _waiting = _waiting, wanted
    try:
        yield
    finally:
        _waiting = before


def waits_for_step() -> bool:
    """Return whether a stop waits for the end of a step."""
    return _waiting
