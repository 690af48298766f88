"""Similar training images: their features are computed once, then read from the run folder.

Shapes: n training images, E experts, F_e the feature width of an expert; features are unit vectors.
"""

import hashlib
import logging
from dataclasses import dataclass
from pathlib import Path

import torch

from lptpp.data.cache import ImageCache
from lptpp.data.check import check_images, check_progress
from lptpp.data.dataset import ImageDataset, Split
from lptpp.inference.model import Model
from lptpp.report.thumbnails import thumbnail
from lptpp.utils.arrays import read_arrays, write_arrays

log = logging.getLogger("lptpp")
FILE = "neighbors.safetensors"
SHOWN = 6
FeatureTable = dict[str, torch.Tensor]  # features: (n, ΣF_e), places: (n,)


@dataclass(frozen=True)
class SimilarImage:
    """A training image, its class, and its similarity to the query image."""

    name: str
    label: str
    similarity: float  # mean cosine over the experts, at most 1
    thumbnail: str | None  # data URI; None if the image is no longer readable


class Neighbors:
    """Nearest-neighbor search over the features of all readable training images."""

    def __init__(self, features: torch.Tensor, split: Split, class_names: list[str], experts: int) -> None:
        self.features = features  # (n, ΣF_e), the unit features of the experts side by side
        self.split = split  # the same n images
        self.class_names = class_names
        self.experts = experts

    def nearest(self, feature: torch.Tensor) -> list[SimilarImage]:
        """Return the training images nearest to a feature (ΣF_e,), most similar first.

        similarity = 1/E · Σ_e f_e · g_e
        """
        similarities = self.features @ feature / self.experts  # (n,)
        best = similarities.topk(min(SHOWN, len(similarities)))
        return [self._similar(*pair) for pair in zip(best.indices.tolist(), best.values.tolist(), strict=True)]

    def _similar(self, index: int, similarity: float) -> SimilarImage:
        label = self.class_names[self.split.labels[index]]
        return SimilarImage(self.split.name(index), label, similarity, thumbnail(self.split.images[index]))


def neighbors_of(model: Model, collection: ImageDataset, folder: Path) -> Neighbors:
    """Return the neighbor search of a model, from the file in `folder` if it is up to date, else computed and saved."""
    identity = {"model": model.mixture.fingerprint(), "images": _digest(collection)}
    width = sum(expert.backbone.feature_width for expert in model.mixture.experts.values())
    table = _read(folder / FILE, identity, len(collection.train), width)
    if table is None:
        table = _compute(model, collection.train)
        _write(folder / FILE, table, identity)
    split = collection.train.subset(table["places"].numpy())
    return Neighbors(table["features"], split, collection.class_names, len(model.mixture.experts))


def _compute(model: Model, split: Split) -> FeatureTable:
    """Return the features of the readable images, and their places in the split."""
    with check_progress(len(split)) as advance:
        good, faults = check_images({"train": split}, "skip", model.decoding, advance)
    bad = {name for name, _ in faults}
    places = [place for place in range(len(split)) if split.name(place) not in bad]
    images = ImageCache(good["train"], 0, model.decoding)
    with torch.no_grad():
        predictions = model.pipeline().predictions(images, "Computing training features")
        features = [torch.cat([*found.features.values()], 1) for found, _ in predictions]
    return {"features": torch.cat(features), "places": torch.tensor(places)}


def _digest(collection: ImageDataset) -> str:
    """Return a sha256 of the names and labels of the training images."""
    digest, split = hashlib.sha256(), collection.train
    for place, label in enumerate(split.labels.tolist()):
        digest.update(f"{label} {split.name(place)}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _read(path: Path, identity: dict[str, str], images: int, width: int) -> FeatureTable | None:
    """Return the saved table, None if it is missing, damaged or of another model or other images.

    `images` and `width` are the number of training images and ΣF_e: a run folder may be from someone else.
    """
    arrays, about = read_arrays(path) or ({}, {})
    if about != identity or arrays.keys() != {"features", "places"}:
        return None
    table = {name: torch.from_numpy(array) for name, array in arrays.items()}
    features, places = table["features"], table["places"]
    fits = places.ndim == 1 and features.shape == (len(places), width) and features.dtype == torch.float32
    return table if fits and places.dtype == torch.int64 and set(places.tolist()) <= set(range(images)) else None


def _write(path: Path, table: FeatureTable, identity: dict[str, str]) -> None:
    try:
        write_arrays(path, {name: tensor.numpy() for name, tensor in table.items()}, identity)
    except OSError as error:
        log.warning("%s cannot be written (%s); the features will be computed again next time.", path, error.strerror)
