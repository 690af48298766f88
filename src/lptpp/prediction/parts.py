"""The parts of a job: fixed pieces of its inputs. Processes take the next free one; each has a store of its own.

Of part P, the claim number N (`lptpp.utils.crew`) computes into the store P.store.N and ends with an empty file
P.done.N. Who takes over from a dead process copies its store first, so that a process which was only suspended writes
to its own files, and whichever is done first counts.
"""

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from lptpp.prediction.resume import Job
from lptpp.prediction.store import Store, carry_over, rows_in
from lptpp.utils.crew import Crew, superseded
from lptpp.utils.disk import create, make_folder

PART = 65_536  # inputs in a part: at most this many in whole batches
DONE = re.compile(r"(\d+)\.done\.(\d+)")
STORE = re.compile(r"(\d+)\.store\.(\d+)")


def part_size(chunk: int) -> int:
    """Return the number of inputs in a part: of whole batches of `chunk`, so that parts change no batch."""
    return max(PART // chunk, 1) * chunk


@dataclass
class Part:
    """A claimed part and its store."""

    place: int
    claim: Path
    number: int  # of the claim
    store: Store

    def is_lost(self) -> bool:
        """Return whether another process has taken it over, as this one seemed dead."""
        return superseded(self.claim, self.number)


class Parts:
    """The parts of a job in `folder`, seen by one of its processes; stores have chunks of `chunk` and `width`."""

    def __init__(self, folder: Path, job: Job, crew: Crew, chunk: int, width: int) -> None:
        self.folder, self.job, self.crew, self.chunk, self.width = folder, job, crew, chunk, width
        self._done: dict[int, int] = {}  # the number of the claim that was done, by part

    def __len__(self) -> int:
        return len(self.job.starts)

    def take(self) -> Part | None:
        """Return the next free part; None if all are done or other processes compute them."""
        done = self.done()
        for place in range(len(self)):
            claim = self._path(place)
            if place not in done and (number := self.crew.claim(claim)) and place not in self.done():
                return Part(place, claim, number, self._resumed(place, number))
        return None

    def finish(self, part: Part) -> None:
        """Record a part as done, if its store is complete: that of a process which was suspended may not be."""
        if part.store.is_complete():
            create(self.folder / f"{part.place:06}.done.{part.number}", b"")

    def done(self) -> dict[int, int]:
        """Return the number of the claim that was done, by part."""
        for place, number in self._found(DONE):
            self._done[place] = max(number, self._done.get(place, 0))
        return self._done

    def done_images(self) -> int:
        """Return the number of images in the parts that are done."""
        return sum(map(self.job.size, self.done()))

    def saved_images(self) -> int:
        """Return the number of images that are done, those in unfinished parts included."""
        done, unfinished = self.done(), dict[int, int]()
        for place, number in self._found(STORE):
            if place not in done:
                rows = rows_in(self._store(place, number))
                whole = rows if rows == self.job.size(place) else rows // self.chunk * self.chunk
                unfinished[place] = max(whole, unfinished.get(place, 0))
        return self.done_images() + sum(unfinished.values())

    def stores(self) -> list[Store]:
        """Return the stores of all parts, which are done, in order."""
        done = self.done()
        return [self._open(place, done[place]) for place in range(len(self))]

    def holders(self) -> list[str]:
        """Return what the processes are called that compute parts now."""
        holders = [self.crew.holder(self._path(place)) for place in range(len(self)) if place not in self._done]
        return [*dict.fromkeys(filter(None, holders))]

    def _resumed(self, place: int, number: int) -> Store:
        """Return the store of a new claim, with what a dead process has computed; of older stores, one is kept."""
        older = [self._store(place, found) for at, found in self._found(STORE) if at == place and found < number]
        make_folder(self._store(place, number))
        if older:
            kept = max(older, key=rows_in)
            carry_over(kept, self._store(place, number))
            for folder in older:
                if folder != kept:
                    shutil.rmtree(folder, ignore_errors=True)
        return self._open(place, number)

    def _open(self, place: int, number: int) -> Store:
        return Store(self._store(place, number), self.chunk, self.job.size(place), self.width)

    def _path(self, place: int) -> Path:
        return self.folder / f"{place:06}"

    def _store(self, place: int, number: int) -> Path:
        return self.folder / f"{place:06}.store.{number}"

    def _found(self, pattern: re.Pattern[str]) -> list[tuple[int, int]]:
        """Return part and number of the claim of the files or folders of one kind."""
        found = map(pattern.fullmatch, os.listdir(self.folder))  # noqa: PTH208 (names)
        return [(int(one[1]), int(one[2])) for one in found if one]
