"""Threads that read ahead; after an error or Ctrl-C, nobody waits for what they are reading."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import Any

_unfinished: set[Future[Any]] = set()


class _Noted(ThreadPoolExecutor):
    """Notes what is not finished."""

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Note and pass on."""
        future = super().submit(fn, *args, **kwargs)
        _unfinished.add(future)
        future.add_done_callback(_unfinished.discard)
        return future


@contextmanager
def reading_threads() -> Iterator[ThreadPoolExecutor]:
    """Yield threads; the end of the block waits for all of their work, but an error or Ctrl-C drops it.

    What a thread reads at that moment, such as a large image or a file of a slow disk, goes on; its result is ignored.
    """
    threads = _Noted()
    try:
        yield threads
    except BaseException:
        threads.shutdown(wait=False, cancel_futures=True)
        raise
    threads.shutdown()


def still_reading(seconds: float) -> bool:
    """Return whether a thread is still at work after some seconds: the interpreter would wait for it to end."""
    return bool(wait([*_unfinished], seconds).not_done)
