"""Pictures read and transformed in threads, one chunk ahead of the model."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from stat import S_ISREG

from PIL import Image

from lptpp.data.decode import examine
from lptpp.inference.model import Seen
from lptpp.prediction.inputs import Input, file_state

Look = Callable[[Image.Image], Seen]
Read = tuple[list[Input], list[Seen | str]]  # a chunk of inputs, and what became of each: its views, or why it has none


def read_ahead(chunks: Iterable[list[Input]], look: Look, largest_megapixels: float) -> Iterator[Read]:
    """Yield each chunk when it is read; the next one is being read meanwhile."""
    waiting: list[tuple[list[Input], list[Future]]] = []
    threads = ThreadPoolExecutor()
    try:
        for chunk in chunks:
            waiting.append((chunk, [threads.submit(read, one, look, largest_megapixels) for one in chunk]))
            if len(waiting) == 2:
                yield _taken(waiting.pop(0))
        yield from map(_taken, waiting)
    finally:
        threads.shutdown(cancel_futures=True)


def _taken(reading: tuple[list[Input], list[Future]]) -> Read:
    chunk, futures = reading
    return chunk, [future.result() for future in futures]


def read(one: Input, look: Look, largest_megapixels: float) -> Seen | str:
    """Return the views of one input, or in words why it has none."""
    if not one.path:
        return "no path is given"
    state = file_state(one.path)
    if state is not None and not S_ISREG(state.st_mode):
        return "is no file: give the files of a folder one by one"
    picture = examine(Path(one.path), largest_megapixels)
    if isinstance(picture, str):
        return picture
    try:
        return look(picture)
    except (MemoryError, RuntimeError) as error:  # a picture a thousand times as long as high
        return f"cannot be resized: {str(error).splitlines()[0]}"
