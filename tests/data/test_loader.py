import os
import re
import signal
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from lptpp.backbones.preprocessing import Preprocessing
from lptpp.data import loader
from lptpp.data.augment import Augmentation
from lptpp.data.cache import ImageCache
from lptpp.data.dataset import Split
from lptpp.data.loader import EpochSamples, Sample, ViewDataset, batches, interleave
from lptpp.data.transforms import evaluation_transform, per_image
from lptpp.utils import processes
from lptpp.utils.errors import UserError
from lptpp.utils.failures import failure
from lptpp.utils.random import key

SMALL = Preprocessing((8, 8), (0.5,) * 3, (0.5,) * 3, "bilinear")
LARGE = Preprocessing((12, 12), (0.5,) * 3, (0.5,) * 3, "bilinear")
SAMPLES: list[Sample] = [(i % 7, key(0, "augmentation", i)) for i in range(10)]


def views(memory_bytes: int = 0) -> ViewDataset:
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (20, 16, 3), dtype=np.uint8) for _ in range(7)]
    split = Split(list(images), np.arange(7) * 10)
    transforms = {
        "small": Augmentation(SMALL, 0.4, True, 0.3),
        "large": Augmentation(LARGE, 0.4, True, 0.3),
    }
    return ViewDataset(ImageCache(split, memory_bytes), split.labels, transforms)


def rows(workers: int, memory_bytes: int = 0, batch_size: int = 4) -> list[tuple[torch.Tensor, torch.Tensor, int, int]]:
    return [
        (small, large, int(label), int(index))
        for seen, labels, indices in batches(views(memory_bytes), SAMPLES, batch_size, workers)
        for small, large, label, index in zip(seen["small"], seen["large"], labels, indices, strict=True)
    ]


def same(first: list, second: list, tolerance: float = 0.0) -> bool:
    return len(first) == len(second) and all(
        all(torch.allclose(a[i], b[i], rtol=0, atol=tolerance) for i in (0, 1)) and a[2:] == b[2:]
        for a, b in zip(first, second, strict=True)
    )


def test_batches_have_the_shapes_and_the_order_of_the_samples() -> None:
    found = list(batches(views(), SAMPLES, 4, workers=0))
    assert [len(labels) for _, labels, _ in found] == [4, 4, 2]
    seen, labels, indices = found[0]
    assert seen["small"].shape == (4, 3, 8, 8)
    assert seen["large"].shape == (4, 3, 12, 12)
    assert seen["small"].dtype == torch.float32
    assert labels.dtype == indices.dtype == torch.int64
    assert torch.cat([part[2] for part in found]).tolist() == [index for index, _ in SAMPLES]
    assert torch.cat([part[1] for part in found]).tolist() == [10 * index for index, _ in SAMPLES]


@pytest.mark.parametrize("memory_bytes", [0, 3 * 960, 10**6])
@pytest.mark.parametrize("workers", [1, 2])
def test_workers_and_memory_change_nothing(workers: int, memory_bytes: int) -> None:
    torch.manual_seed(1)
    alone = rows(workers=0)
    torch.manual_seed(2)
    assert same(alone, rows(workers, memory_bytes))


def test_the_size_of_batches_changes_only_rounding() -> None:
    assert same(rows(workers=0), rows(workers=0, batch_size=3), tolerance=1e-5)


def test_a_view_depends_on_its_key_alone() -> None:
    seen = views().of([(3, 5), (3, 5), (3, 6)])[0]["small"]
    assert torch.equal(seen[0], seen[1])
    assert not torch.equal(seen[0], seen[2])


def test_all_transforms_get_the_same_keys() -> None:
    set_of_views = views()
    transform = set_of_views.transforms["small"]
    set_of_views.transforms = {"one": transform, "two": transform}
    seen, _, _ = set_of_views.of(SAMPLES)
    pictures = [set_of_views.images.load(index) for index, _ in SAMPLES]
    assert torch.equal(seen["one"], transform(pictures, [key for _, key in SAMPLES]))
    assert torch.equal(seen["one"], seen["two"])


def test_the_first_batches_can_be_skipped() -> None:
    whole, rest = (list(batches(views(), SAMPLES, 3, workers=0, first=first)) for first in (0, 2))
    assert [part[2].tolist() for part in rest] == [part[2].tolist() for part in whole[2:]]
    assert torch.equal(rest[0][0]["small"], whole[2][0]["small"])


@pytest.mark.parametrize("workers", [0, 1])
def test_the_global_generator_is_not_changed(workers: int) -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    rows(workers)
    assert torch.equal(torch.get_rng_state(), before)


def test_evaluation_views_and_no_samples() -> None:
    set_of_views = views()
    set_of_views.transforms = {"eval": per_image(evaluation_transform(SMALL))}
    seen = set_of_views.of([(2, 0), (2, 99)])[0]["eval"]
    assert torch.equal(seen[0], seen[1])
    assert list(batches(set_of_views, [], 4, workers=0)) == []


def literal_interleave(orders: list[np.ndarray], size: int) -> list[int]:
    result = []
    for start in range(0, len(orders[0]), size):
        for order in orders:
            result.extend(order[start : start + size].tolist())
    return result


@pytest.mark.parametrize("streams", [1, 2, 3])
@pytest.mark.parametrize("length", [0, 1, 3, 4, 5, 12, 13])
def test_interleave_takes_a_batch_of_each_order(streams: int, length: int) -> None:
    orders = [np.arange(length, dtype=np.int32) + 100 * stream for stream in range(streams)]
    found = interleave(orders, 4)
    assert found.tolist() == literal_interleave(orders, 4)
    assert found.dtype == np.int32


def test_slices_and_positions_give_the_same_samples() -> None:
    samples = EpochSamples(np.array([5, 5, 2, 0, 1]), 3, "phase", 0)
    whole = [samples[place] for place in range(5)]
    assert [image for image, _ in whole] == [5, 5, 2, 0, 1]
    assert len({key for _, key in whole}) == 5
    assert samples[:] == list(samples) == whole
    assert samples[1:3] == whole[1:3] and samples[3:99] == whole[3:] and samples[9:] == []
    assert samples[-1] == whole[-1]
    with pytest.raises(IndexError):
        samples[5]


def test_keys_depend_on_seed_and_parts() -> None:
    made = [
        EpochSamples(np.zeros(3, dtype=np.int64), *parts)[0] for parts in ((0, "a"), (1, "a"), (0, "b"), (0, "a", 1))
    ]
    assert len(set(made)) == 4


class Fatal(ViewDataset):
    """Its worker is killed, or finds an image unreadable, at image 6."""

    def __init__(self, number: int | None) -> None:
        whole = views()
        super().__init__(whole.images, whole.labels, whole.transforms)
        self.number, self.owner = number, os.getpid()

    def of(self, samples: list[Sample]):
        if samples[0][0] == 6:
            if self.number is None:
                raise UserError("6.png can no longer be read.")
            assert os.getpid() != self.owner
            os.kill(os.getpid(), self.number)
        return super().of(samples)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV])
def test_a_killed_worker_is_one_sentence(number: int) -> None:
    try:
        try:
            list(batches(Fatal(number), SAMPLES, 3, workers=1))
        finally:
            time.sleep(0.3)  # torch may report the end of the worker once more, in the middle of any code
    except (UserError, RuntimeError) as error:
        sentence = str(error) if isinstance(error, UserError) else failure(error)
    assert re.match(r"A loader worker was killed \(.*\), .* with fewer workers or [^\n]*$", sentence)


class Telling(ViewDataset):
    """Its worker prints a traceback as threads do that hand over batches, for errors of a few kinds."""

    def of(self, samples: list[Sample]):
        for error in (BrokenPipeError("gone"), EOFError("gone"), ValueError("a bug")):
            sys.excepthook(type(error), error, None)
        return super().of(samples)


def test_a_worker_is_silent_about_the_end_of_the_process_that_takes_the_batches(capfd):
    whole = views()
    list(batches(Telling(whole.images, whole.labels, whole.transforms), SAMPLES, 10, workers=1))
    assert capfd.readouterr().err == "ValueError: a bug\n"


@pytest.mark.parametrize("workers", [0, 1])
def test_an_unreadable_image_is_the_same_sentence_in_a_worker(workers: int) -> None:
    with pytest.raises(UserError, match=r"^6\.png can no longer be read\.$"):
        list(batches(Fatal(None), SAMPLES, 3, workers))


@pytest.mark.parametrize(
    ("workers", "device", "images", "cores", "expected"),
    [
        ("auto", "cuda", 5_000, 32, 15),  # two processes on this machine
        ("auto", "cuda", 5_000, 2, 0),
        ("auto", "cuda", 5_000, 128, 16),
        ("auto", "cuda", 999, 32, 0),
        ("auto", "cpu", 5_000, 32, 0),
        ("auto", "mps", 5_000, 32, 0),
        ("3", "cpu", 10, 32, 3),
        (0, "cuda", 5_000, 32, 0),
    ],
)
def test_the_number_of_workers(workers, device, images, cores, expected, monkeypatch) -> None:
    monkeypatch.setattr(processes, "cores", lambda: cores)
    monkeypatch.setattr(processes, "local_count", lambda: 2)
    monkeypatch.setattr(loader, "SHARED_MEMORY", Path("missing"))
    assert loader.worker_count(workers, device, images) == expected


def test_workers_fit_into_the_shared_memory(monkeypatch) -> None:
    monkeypatch.setattr(processes, "cores", lambda: 32)
    monkeypatch.setattr(loader, "SHARED_MEMORY", Path("/"))
    monkeypatch.setattr(loader, "disk_usage", lambda path: SimpleNamespace(free=3.5 * 2**30))
    assert loader.worker_count("auto", "cuda", 5_000) == 3
