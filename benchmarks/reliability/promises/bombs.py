"""Small files that ask for much memory or time: refused within a second, with less than 100 MB."""

import json
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from benchmarks.reliability.forks import ended
from benchmarks.reliability.promise import Promise, Verdict
from benchmarks.reliability.world import World
from lptpp.data.decode import Decoding, image_size, try_decode
from lptpp.data.sizes import Enough
from tests.data.hostile_images import HOSTILE, MOST_MEGABYTES, MOST_SECONDS


def verdicts(world: World, count: int) -> Iterator[Verdict]:
    """Decode each in a new process, whose peak of memory is then its own."""
    folder = world.scratch("bombs")
    for number, (name, content) in enumerate(list(HOSTILE.items())[:count]):
        place = folder / str(number)
        place.mkdir()
        (place / name).write_bytes(content())
        done = ended(lambda place=place, name=name: _measure(place / name), place)
        yield Verdict(name, _problem(done.output) if done.status == 0 else f"status {done.status}: {done.output}")


def _measure(path: Path) -> None:
    """Decode a good image first, then this one, and print what it took."""
    Image.new("RGB", (64, 64)).save(path.parent / "good image.png")
    try_decode(path.parent / "good image.png")
    before, began = _peak(), time.process_time()
    image_size(path)
    reasons = [try_decode(path, how) for how in (Decoding(), Decoding(enough=Enough(shorter=32)))]
    refused = all(isinstance(one, str) for one in reasons)
    print(json.dumps([refused, time.process_time() - began, _peak() - before]))


def _peak() -> float:
    """Return the peak of the memory of this process in megabytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def _problem(text: str) -> str | None:
    refused, seconds, megabytes = json.loads(text.splitlines()[-1])
    if refused and seconds < MOST_SECONDS and megabytes < MOST_MEGABYTES:
        return None
    return f"{'refused' if refused else 'accepted'} after {seconds:.1f} s of work, {megabytes:.0f} MB"


PROMISE = Promise(
    f"image bombs: refused within a second of work and {MOST_MEGABYTES} MB", verdicts, len(HOSTILE), 6, seconds=0.4
)
