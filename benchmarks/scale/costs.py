"""The costs of n images, in CPU seconds and bytes: lists, memory, record, split, sampler, store of phase 3."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from benchmarks.scale.listing import list_folder, list_lines, peak
from benchmarks.speed.sampler import long_tailed_labels
from lptpp.checkpoint.listing import Listing
from lptpp.data.dataset import ImageDataset
from lptpp.data.files import Files
from lptpp.data.sources.image_list import image_list
from lptpp.data.split import stratified_split
from lptpp.samplers import Sampler
from lptpp.training.output_store import RowStore
from lptpp.utils.random import generator

CLASSES = 8_142  # those of iNaturalist 2018
WIDTH = 64  # of the features in the store
BATCH = 4_096


class Cost(NamedTuple):
    """One measurement; `value` is in seconds, or in bytes or MB if `unit` says so."""

    what: str
    images: int
    value: float
    unit: str = "s"


def costs(images: int, folder: Path, classes: int = CLASSES) -> Iterator[Cost]:
    """Yield what n = `images` images cost; `folder` receives a list of them."""
    labels = long_tailed_labels(images, min(classes, images // 2))
    file = write_list(folder, labels)
    found: list[ImageDataset] = []
    seconds = measured(lambda: found.append(image_list(str(folder), str(file), None, None, None, 0.0, 0)))
    yield Cost("read a list", images, seconds)
    whole = found[0]
    yield Cost("memory of the paths", images, memory(whole), "bytes")
    yield Cost("list for the record", images, measured(lambda: Listing.of(whole, whole.class_names, str(folder))))
    yield Cost("draw a split", images, measured(lambda: stratified_split(labels, 0.2, 0)))
    yield Cost("sampler and order of an epoch", images, measured(lambda: _epoch(labels)))
    yield Cost("store of phase 3", images, measured(lambda: _fill(images, folder)))
    yield Cost("`predict`: list a folder", images, measured(lambda: list_folder(images, folder)))
    yield Cost("`predict`: list a file of paths", images, measured(lambda: list_lines(file)))
    yield Cost("`predict`: peak memory, folder", images, peak(lambda: list_folder(images, folder)), "MB")
    yield Cost("`predict`: peak memory, file of paths", images, peak(lambda: list_lines(file)), "MB")


def write_list(folder: Path, labels: np.ndarray) -> Path:
    """Write lines `path label`, and the first of the images, so that the folder is not refused."""
    file = folder / f"{len(labels)}.txt"
    with file.open("w") as lines:
        lines.writelines(f"{_name(label, i)} {label}\n" for i, label in enumerate(labels.tolist()))
    first = folder / _name(int(labels[0]), 0)
    first.parent.mkdir(parents=True, exist_ok=True)
    first.touch()
    return file


def _name(label: int, image: int) -> str:
    return f"n{label // 10:05}/n{label:08}/{image:09}.jpg"


def memory(dataset: ImageDataset) -> float:
    """Return the bytes of the paths and labels of the training split."""
    images = dataset.train.images
    assert isinstance(images, Files)
    rows = 0 if images.rows is None else images.rows.nbytes
    return len(images.text) + images.ends.nbytes + rows + dataset.train.labels.nbytes


def measured(work: Callable[[], object]) -> float:
    """Return the CPU seconds of this process for some work."""
    start = time.process_time()
    work()
    return time.process_time() - start


def slopes(found: list[Cost]) -> dict[str, float]:
    """Return, by what was measured, the slope of log cost over log n between the two largest n."""
    largest: dict[str, list[Cost]] = {}
    for cost in sorted(found, key=lambda one: one.images):
        largest.setdefault(cost.what, []).append(cost)
    return {
        what: float(np.log(last.value / before.value) / np.log(last.images / before.images))
        for what, (*_, before, last) in largest.items()
    }


def _epoch(labels: np.ndarray) -> None:
    Sampler(labels, int(labels.max()) + 1, "class_balanced").order(generator(0))


def _fill(images: int, folder: Path) -> None:
    store = RowStore(images, 0, folder)
    batch = torch.rand(BATCH, WIDTH)
    for start in range(0, images, BATCH):
        part = batch[: min(BATCH, images - start)]
        store.add([part])
        store.add_targets(torch.zeros(len(part), dtype=torch.int64))
