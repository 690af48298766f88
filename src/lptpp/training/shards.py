"""Shards: every batch is cut into S fixed pieces whose gradients are summed in order.

A run with S shards gives the same bits on N processes, for every N that divides S: process r computes the pieces of
shards r, r + N, …, each with its own noise, and its loss is weighted by its share of the images.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from lptpp.utils import exchange, processes


class Piece(NamedTuple):
    """The piece of a batch that a shard computes: images `start` to `end` of each stream."""

    shard: int
    start: int
    end: int
    share: float  # of the images of the batch

    @property
    def images(self) -> int:
        """The images of each stream."""
        return self.end - self.start


WHOLE = Piece(0, 0, 0, 1.0)  # a batch that is not cut


def pieces(images: int, shards: int) -> list[Piece]:
    """Return the pieces of a batch of `images` of each stream, whose sizes differ by one at most, the largest first.

    A shard that gets none computes the last image with share 0: then all shards compute the same.
    """
    least, more = divmod(images, shards)
    found, start = [], 0
    for shard in range(shards):
        size = least + (shard < more)
        first = start if size else images - 1
        found.append(Piece(shard, first, first + max(size, 1), size / images))
        start += size
    return found


@dataclass(frozen=True)
class Cut:
    """How an epoch of interleaved streams (`lptpp.data.loader.interleave`) is cut: what this process computes.

    draws: of each stream in the epoch; batch_size: of each stream.
    """

    draws: int
    batch_size: int
    streams: int
    shards: int

    def own(self, batch: int) -> list[Piece]:
        """Return the pieces of a batch that this process computes."""
        return list(processes.own(pieces(self._images(batch), self.shards)))

    @property
    def size(self) -> int:
        """The draws in a whole batch that this process computes."""
        return self.streams * sum(piece.images for piece in processes.own(pieces(self.batch_size, self.shards)))

    def places(self) -> np.ndarray:
        """Return the places in the epoch that this process draws, batch by batch: in each, piece by piece."""
        whole = self.draws // self.batch_size
        starts = np.arange(whole)[:, None] * (self.batch_size * self.streams)
        found = (starts + self._within(0)).ravel() if whole else np.empty(0, dtype=np.int64)
        if not self.draws % self.batch_size:
            return found
        return np.concatenate([found, whole * self.batch_size * self.streams + self._within(whole)])

    def _images(self, batch: int) -> int:
        return min(self.batch_size, self.draws - batch * self.batch_size)

    def _within(self, batch: int) -> np.ndarray:
        images = self._images(batch)
        return np.concatenate(
            [
                np.arange(piece.start, piece.end) + stream * images
                for piece in self.own(batch)
                for stream in range(self.streams)
            ]
        )


Adding = Callable[[bool], torch.Tensor]  # adds the gradients of a shard, the last one or not, and returns its loss


class Loss(NamedTuple):
    """The loss of a batch, and of the shards of this process; scalars."""

    total: torch.Tensor
    own: list[torch.Tensor]

    def is_ours(self) -> bool:
        """Return whether a loss that is not finite comes from a shard of this process."""
        return not bool(torch.stack(self.own).isfinite().all())


def summed(parameters: Sequence[nn.Parameter], shards: Sequence[Adding]) -> Loss:
    """Leave the gradients of all shards of all processes, summed in the order of the shards, in the parameters."""
    total, own = exchange.OrderedSum(), []
    for add in shards:
        own.append(add(True))
        gradients = [torch.zeros_like(one) if one.grad is None else one.grad for one in parameters]
        total.add(torch.cat([own[-1].reshape(1), *(one.flatten() for one in gradients)]))
        for one in parameters:
            one.grad = None
    loss, *gradients = total.result().split([1, *(one.numel() for one in parameters)])
    for one, gradient in zip(parameters, gradients, strict=True):
        one.grad = gradient.view_as(one)
    return Loss(loss[0], own)


def accumulated(parameters: Sequence[nn.Parameter], shards: Sequence[Adding]) -> Loss:
    """Leave the gradients of all shards in the parameters, as their backward passes add and exchange them."""
    own = [add(place == len(shards) - 1) for place, add in enumerate(shards)]
    return Loss(exchange.mean(torch.stack(own).sum()), own)
