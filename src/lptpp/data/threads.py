"""Work on many pictures in threads: Pillow's decoders let others run meanwhile."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
Progress = Callable[[int, int], None]  # how many are done, how many there are
CHUNK = 1024  # handed to the threads at once: a queue of all pictures of a large data set takes a gigabyte


def in_threads(
    function: Callable[[Item], Result], items: Sequence[Item], progress: Progress | None = None
) -> Iterator[Result]:
    """Yield the function's result for every item, in order; `progress` is told after each."""
    threads = ThreadPoolExecutor()
    try:
        for start in range(0, len(items), CHUNK):
            for done, result in enumerate(threads.map(function, items[start : start + CHUNK]), start + 1):
                if progress is not None:
                    progress(done, len(items))
                yield result
    finally:
        threads.shutdown(cancel_futures=True)  # after Ctrl-C nothing more is begun
