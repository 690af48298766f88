"""Files that are passed over, in words: their number by kind, and the first names."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from heapq import nsmallest
from itertools import chain
from typing import Self

from lptpp.data.dataset import Note
from lptpp.data.sources.walk import NOUNS
from lptpp.utils.paths import natural_key
from lptpp.utils.text import listed, printable

NAMED = 3  # files
KINDS = 8


@dataclass
class PassedOver:
    """The number of files by kind, and the paths of the first ones in natural order."""

    kinds: Counter[str] = field(default_factory=Counter)
    first: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, notes: Iterable[Note]) -> Self:
        """Return what notes of `lptpp.data.sources.walk` are on."""
        found = cls()
        found.add(notes)
        return found

    def add(self, notes: Iterable[Note]) -> None:
        """Count further notes; memory does not grow with their number."""
        self.first = nsmallest(NAMED, chain(self.first, self._counted(notes)), natural_key)

    def _counted(self, notes: Iterable[Note]) -> Iterator[str]:
        for note in notes:
            self.kinds[note.detail] += 1
            yield note.item

    def by_kind(self) -> str:
        """Return the number of files of each kind, the most frequent first: 20 .cr2, 3 broken links."""
        kinds = self.kinds.most_common()
        texts = [f"{count:,} {kind}s" if count > 1 and kind in NOUNS else f"{count:,} {kind}" for kind, count in kinds]
        more = sum(count for _, count in kinds[KINDS:])
        return ", ".join(texts[:KINDS]) + (f" and {more:,} of other kinds" if more else "")

    def within(self, folder: str) -> str:
        """Return `by_kind` and the first names, relative to a folder: 9 .cr2 (a/1.cr2, a/2.cr2, b/1.cr2 and 6 more)."""
        start = os.path.join(folder, "")  # noqa: PTH118 (a separator at the end)
        names = [path.removeprefix(start) for path in self.first]
        return printable(f"{self.by_kind()} ({listed(names, NAMED, of=self.kinds.total())})")
