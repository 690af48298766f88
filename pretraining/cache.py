"""Features of a frozen EfficientNet for a fixed number of random crops per image, computed once and cached.

The stem takes more time than the blocks after it and is never trained. So its feature map before the 1×1 head
convolution is stored in float16, together with the pooled feature of the whole network for the same crop at a larger
size: the teacher.
"""

import hashlib
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from lptpp.backbones.hybrid import fold_batch_norms
from lptpp.data.augment import COLORS, MIRROR, NUMBERS, PLACE, adjust_colors, random_boxes
from lptpp.data.transforms import resample
from lptpp.utils.progress import progress_bar
from lptpp.utils.random import key, keys, uniforms
from pretraining.pack import Packed
from pretraining.settings import TowerSettings
from pretraining.stems import load_stem

DTYPE = {"cpu": torch.float32, "cuda": torch.float16}
SLICE = {
    "cpu": 16,
    "cuda": 512,
}  # images per forward pass; on a CPU a slice that fits in the cache is 3× as fast
MIRRORED = ("tiny_imagenet", "photos")  # a mirrored emoji may be another emoji


class Cached(NamedTuple):
    """The crops of one source; row index: image · views + view."""

    maps: torch.Tensor  # (n·V, S, h, w) float16, input of the stem's head convolution
    teacher: torch.Tensor  # (n·V, 1280) float16
    labels: torch.Tensor  # (n·V,)


class Stem:
    """A frozen EfficientNet in two parts: the body, and the head convolution that turns its feature map into tokens."""

    def __init__(self, name: str, device: torch.device) -> None:
        self.network = fold_batch_norms(load_stem(name))
        self.network.requires_grad_(False).to(device, DTYPE[device.type], memory_format=torch.channels_last)
        self.device, self.dtype = device, DTYPE[device.type]

    def body(self, images: torch.Tensor) -> torch.Tensor:
        """Map images (B, 3, H, W) to (B, S, h, w)."""
        return self.network.blocks(self.network.bn1(self.network.conv_stem(images.to(self.dtype))))

    def tokens(self, maps: torch.Tensor) -> torch.Tensor:
        """Map (B, S, h, w) to tokens (B, h·w, 1280), whose mean is the network's pooled feature."""
        return self.network.bn2(self.network.conv_head(maps.to(self.dtype))).flatten(2).transpose(1, 2).float()

    def classify(self, pooled: torch.Tensor) -> torch.Tensor:
        """Map pooled features (B, 1280) to logits (B, 1000)."""
        return self.network.classifier(pooled.to(self.dtype)).float()


def cache_views(folder: Path, source: str, packed: Packed, settings: TowerSettings, stem: Stem) -> Cached:
    """Return the cached crops of a source, after computing the missing ones.

    On a CPU they are stored in `folder`; on a GPU they stay in its memory, since computing them takes only a minute.

    Raises:
        ValueError: the crops in `folder` are of other images or settings.
    """
    views, grid = settings.views[source], settings.image_size // 32
    rows = len(packed.labels) * views
    store = _Store(folder, source, rows, stem.device, _origin(source, packed, settings))
    maps = store.tensor("maps", (stem.network.conv_head.in_channels, grid, grid))
    teacher = store.tensor("teacher", (stem.network.num_features,))
    shown = _Shown(packed, views, settings, source, stem.device)
    with progress_bar(f"{settings.name}: crops of {source}", rows, store.done) as bar, torch.inference_mode():
        for places in shown.slices(store.done):
            found = [stem.body(crops) for crops in shown.crops(places)]
            at = torch.from_numpy(places).to(maps.device)
            maps[at] = found[0].half().to(maps.device)
            teacher[at] = stem.tokens(found[-1]).mean(1).half().to(maps.device)
            store.advance(len(places))
            bar.advance(len(places))
    store.save()
    return Cached(maps, teacher, packed.labels.repeat_interleave(views))


def _origin(source: str, packed: Packed, settings: TowerSettings) -> str:
    """Return a digest of all that the crops of a source depend on."""
    used = (settings.stem, settings.seed, settings.views[source], settings.image_size, settings.teacher_sizes[source])
    digest = hashlib.sha256(repr((*used, settings.smallest_crop, settings.color)).encode())
    for picture in (*packed.pictures, packed.labels):
        digest.update(picture.numpy().tobytes())
    return digest.hexdigest()


class _Store:
    """Storage of cached crops and the number of finished rows."""

    def __init__(self, folder: Path, source: str, rows: int, device: torch.device, origin: str) -> None:
        self.folder, self.source, self.rows, self.device, self.origin = folder, source, rows, device, origin
        self.on_disk = device.type == "cpu"
        folder.mkdir(parents=True, exist_ok=True)
        self.progress = folder / f"{source}.json"
        self.done = self._finished() if self.on_disk and self.progress.is_file() else 0

    def _finished(self) -> int:
        saved = json.loads(self.progress.read_text())
        if saved["origin"] != self.origin:
            raise ValueError(
                f"{self.progress} belongs to crops of other images or settings: use another --work folder or delete it."
            )
        return int(saved["rows"])

    def tensor(self, name: str, shape: tuple[int, ...]) -> torch.Tensor:
        """Return a float16 tensor (rows, *shape), with the cached content if it exists."""
        shape = (self.rows, *shape)
        if not self.on_disk:
            return torch.empty(shape, dtype=torch.float16, device=self.device)
        path = self.folder / f"{self.source}.{name}.f16"
        whole = path.is_file() and path.stat().st_size == 2 * np.prod(shape)
        self.done = self.done if whole else 0
        return torch.from_numpy(np.memmap(path, np.float16, "r+" if whole else "w+", shape=shape))

    def advance(self, rows: int) -> None:
        """Count finished rows; saves the count every few thousand."""
        before, self.done = self.done, self.done + rows
        if before // 4096 != self.done // 4096:
            self.save()

    def save(self) -> None:
        """Save the number of finished rows."""
        if self.on_disk:
            self.progress.write_text(json.dumps({"rows": self.done, "origin": self.origin}))


class _Shown:
    """The random crops of a source's pictures, those of one shape together and all of them on the device."""

    def __init__(self, packed: Packed, views: int, settings: TowerSettings, source: str, device: torch.device) -> None:
        self.views, self.settings, self.source, self.device = views, settings, source, device
        shapes = np.array([picture.shape[1:] for picture in packed.pictures])  # (n, 2)
        self.sizes, kind = np.unique(shapes, axis=0, return_inverse=True)
        self.kind = kind.ravel()  # of each image: index of its size
        self.pictures = [
            torch.stack([packed.pictures[i] for i in np.flatnonzero(self.kind == k)]) for k in range(len(self.sizes))
        ]
        if device.type == "cuda":
            self.pictures = [stack.pin_memory().to(device) for stack in self.pictures]
        self.order = np.argsort(self.kind, kind="stable")  # images sorted by size
        self.start = np.cumsum([0, *(len(one) for one in self.pictures)])

    def slices(self, done: int) -> Iterator[np.ndarray]:
        """Yield slices of rows, each of images of one size, from position `done` on."""
        size = SLICE[self.device.type]
        for first, last in itertools.pairwise(self.start * self.views):
            for begin in range(max(first, done), last, size):
                numbers = np.arange(begin, min(begin + size, last))
                yield self.order[numbers // self.views] * self.views + numbers % self.views

    def crops(self, rows: np.ndarray) -> list[torch.Tensor]:
        """Return one random crop per row: at the tower's input size, and at the teacher's if it differs."""
        settings = self.settings
        kind = self.kind[rows[0] // self.views]
        within = np.searchsorted(self.order[self.start[kind] : self.start[kind + 1]], rows // self.views)
        pictures = self.pictures[kind][torch.from_numpy(within).to(self.device)]  # (B, 3, H, W)
        numbers = uniforms(keys(key(settings.seed, self.source), rows), NUMBERS)  # as in lptpp.data.augment
        sizes = np.tile(self.sizes[kind], (len(rows), 1))
        boxes = random_boxes(sizes, settings.smallest_crop, numbers[:, PLACE], numbers[:, PLACE.stop :])
        boxes = torch.from_numpy(boxes).to(self.device)
        factors = 1 - settings.color + 2 * settings.color * torch.from_numpy(numbers[:, COLORS]).float()
        mirrored = torch.from_numpy(numbers[:, MIRROR] < (0.5 if self.source in MIRRORED else 0))
        return [
            _normalized(
                resample(pictures, boxes, (size, size), "bicubic"), mirrored.to(self.device), factors.to(self.device)
            )
            for size in dict.fromkeys([settings.image_size, settings.teacher_sizes[self.source]])
        ]


def _normalized(crops: torch.Tensor, mirrored: torch.Tensor, factors: torch.Tensor) -> torch.Tensor:
    crops = torch.where(mirrored[:, None, None, None], crops.flip(-1), crops) / 255
    crops = adjust_colors(crops.clamp(0, 1), factors)
    return ((crops - 0.5) / 0.5).contiguous(memory_format=torch.channels_last)
