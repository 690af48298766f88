"""How a batch is cut, and that the pieces together are the batch."""

import numpy as np
import pytest
import torch
from torch import nn

from lptpp.data.loader import EpochSamples, interleave
from lptpp.training.loop import Batch, add_gradients
from lptpp.training.shards import Cut, pieces, summed
from lptpp.utils import exchange, processes


def on_each(count: int, monkeypatch: pytest.MonkeyPatch, cut: Cut) -> list[tuple[np.ndarray, list]]:
    """Return the places and the pieces of each batch on each of `count` processes."""
    found = []
    for rank in range(count):
        monkeypatch.setattr(processes, "_known", processes._Processes(rank, count))
        batches = range(-(-cut.draws // cut.batch_size))
        found.append((cut.places(), [cut.own(batch) for batch in batches], cut.size))
    return found


@pytest.mark.parametrize(("images", "shards"), [(8, 4), (7, 3), (3, 4), (1, 1), (5, 5)])
def test_the_pieces_of_a_batch_are_all_of_it_once(images: int, shards: int):
    found = pieces(images, shards)
    assert [piece.shard for piece in found] == list(range(shards))
    taken = [image for piece in found if piece.share for image in range(piece.start, piece.end)]
    assert taken == list(range(images))
    assert sum(piece.share for piece in found) == pytest.approx(1)
    assert all(piece.images and piece.share == piece.images / images for piece in found if piece.share)
    assert all((piece.start, piece.end) == (images - 1, images) for piece in found if not piece.share)


@pytest.mark.parametrize("count", [1, 2, 4])
@pytest.mark.parametrize("draws", [24, 21, 18, 3])
def test_every_place_of_an_epoch_is_drawn_once_in_the_batch_it_belongs_to(draws: int, count: int, monkeypatch):
    streams, size, shards = 2, 8, 4
    order = interleave([np.arange(draws) + 100 * stream for stream in range(streams)], size)
    cut = Cut(draws, size, streams, shards)
    for batch in range(-(-draws // size)):
        expected = [draw + 100 * stream for stream in range(streams) for draw in range(draws)[batch * size :][:size]]
        drawn: list[int] = []
        for places, own, own_size in on_each(count, monkeypatch, cut):
            here = order[places][batch * own_size : (batch + 1) * own_size].tolist()
            for piece in own[batch]:
                for stream in range(streams):
                    part, here = here[: piece.images], here[piece.images :]
                    assert all(one // 100 == stream and one in expected for one in part)
                    drawn += part if piece.share else []
            assert here == []
        assert sorted(drawn) == sorted(expected)


def test_a_part_of_an_epoch_has_the_keys_of_its_places():
    samples = EpochSamples(np.array([5, 5, 2, 0, 1]), 3, "phase", 0)
    part = samples.part(np.array([4, 1]))
    assert len(part) == 2
    assert part[:] == [samples[4], samples[1]] == [part[0], part[1]]


class Task(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([1.0, -2.0], dtype=torch.float64))
        self.unused = nn.Parameter(torch.ones(3, dtype=torch.float64))

    def forward(self, inputs: torch.Tensor, labels: torch.Tensor, epoch: int, stream: int) -> torch.Tensor:
        return (inputs @ self.weight - labels).square().mean() / (1, 3)[stream]


@pytest.mark.parametrize("shards", [2, 3, 7])
def test_the_weighted_gradients_of_the_pieces_are_those_of_the_batch(shards: int):
    images, task = 5, Task()
    inputs = torch.randn(2, images, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    labels = torch.arange(2 * images).view(2, images)
    whole = add_gradients(task, torch.Tensor.backward, Batch(inputs.flatten(0, 1), labels.flatten(), list, 2), 0)
    expected, task.weight.grad = task.weight.grad, None
    cut = pieces(images, shards)
    joined = torch.cat([stream[one.start : one.end] for one in cut for stream in inputs])
    named = torch.cat([stream[one.start : one.end] for one in cut for stream in labels])
    parts = Batch(joined, named, list, 2, cut).parts()
    adding = [
        lambda last, one=one: add_gradients(task, torch.Tensor.backward, one, 0, one.pieces[0].share) for one in parts
    ]
    loss = summed([task.weight, task.unused], adding)
    torch.testing.assert_close(loss.total.float(), whole.float())
    torch.testing.assert_close(task.weight.grad, expected, atol=1e-12, rtol=0)
    assert task.unused.grad.tolist() == [0, 0, 0]


def test_vectors_are_summed_in_order():
    vectors = [torch.tensor([1e8, 1.0]), torch.tensor([1.0, 2.0]), torch.tensor([-1e8, 3.0])]
    total = exchange.OrderedSum()
    for vector in vectors:
        total.add(vector)
    assert total.result().tolist() == [(vectors[0] + vectors[1] + vectors[2])[0].item(), 6]
    assert vectors[0].tolist() == [1e8, 1.0]
