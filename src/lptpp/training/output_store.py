"""The outputs of the experts for many images, written once: in memory, or beyond a limit in a file as float16."""

import logging
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from lptpp.utils.memory import bytes_to_gb

log = logging.getLogger("lptpp")


class RowStore:
    """Columns of n rows each, allocated with the first batch and filled batch by batch.

    Together they take n · width · 4 bytes. If that is more than `memory` (bytes), they are float16 in files without a
    name in `folder`, which vanish with the process; the unit features and probabilities keep three digits.
    """

    def __init__(self, rows: int, memory: int, folder: Path) -> None:
        self.rows, self.memory, self.folder = rows, memory, folder
        self.columns: list[torch.Tensor] = []
        self.targets = torch.empty(rows, dtype=torch.int64)
        self.added = self.labeled = 0

    def add(self, batch: Sequence[torch.Tensor]) -> None:
        """Append a batch of B rows: (B, ...) for each column."""
        if not self.columns:
            self._allocate(batch)
        place = slice(self.added, self.added + len(batch[0]))
        for column, part in zip(self.columns, batch, strict=True):
            column[place] = part.to(column)
        self.added = place.stop

    def add_targets(self, targets: torch.Tensor) -> None:
        """Append the targets (B,) of a batch."""
        self.targets[self.labeled : self.labeled + len(targets)] = targets
        self.labeled += len(targets)

    def _allocate(self, batch: Sequence[torch.Tensor]) -> None:
        shapes = [(self.rows, *part.shape[1:]) for part in batch]
        size = 4 * sum(int(np.prod(shape)) for shape in shapes)
        if size <= self.memory:
            self.columns = [torch.empty(shape) for shape in shapes]
            return
        log.info("The experts' outputs take %.1f GB as float16 in %s, more than data.memory_gb in memory.",
                 bytes_to_gb(size // 2), self.folder)  # fmt: skip
        self.columns = [self._mapped(shape) for shape in shapes]

    def _mapped(self, shape: tuple[int, ...]) -> torch.Tensor:
        with tempfile.TemporaryFile(dir=self.folder) as file:
            return torch.from_numpy(np.memmap(file, np.float16, "w+", shape=shape))
