"""Losses that are still on the device: reading one waits for all work before it, so a GPU reads several at once."""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch

from lptpp.training.shards import Loss

READ_EVERY = {"cuda": 10}  # steps; other devices read every loss


class Unread(NamedTuple):
    """The loss of a step: number of the step in its epoch, from 1, and the names of its images."""

    loss: Loss
    step: int
    names: Callable[[], list[str]]


class NotFinite(Exception):
    """A loss is nan or infinite."""

    def __init__(self, value: float, unread: Unread) -> None:
        super().__init__(value)
        self.value = value
        self.unread = unread


def read(losses: list[Unread]) -> list[float]:
    """Return the losses as numbers.

    Raises:
        NotFinite: one is not finite; the first of them.
    """
    values: list[float] = torch.stack([one.loss.total for one in losses]).tolist()
    for value, one in zip(values, losses, strict=True):
        if not math.isfinite(value):
            raise NotFinite(value, one)
    return values
