"""Training pictures that the experts see as nearly the same: computed once, then read from the run folder.

Shapes: n training pictures, E experts, F_e the width of an expert's features, unit vectors each.
"""

import hashlib
import logging
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from lptpp.data.cache import Pictures, check
from lptpp.data.dataset import Collection, Split
from lptpp.data.prepare import fault_progress
from lptpp.inference.model import Model
from lptpp.inference.outputs import predict_batch
from lptpp.inference.runtime import each_once, evaluation_views
from lptpp.report.thumbnails import thumbnail
from lptpp.utils.io import replacing

log = logging.getLogger("lptpp")
FILE = "neighbors.safetensors"
SHOWN = 6
Table = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Similar:
    """A training picture, its class, and how much alike it is to the one that was asked about."""

    name: str
    label: str
    similarity: float  # mean cosine over the experts, at most 1
    picture: str | None  # a small copy as data URI; None where it cannot be read any more


class Neighbors:
    """The features of all training pictures that can be read."""

    def __init__(self, features: torch.Tensor, split: Split, class_names: list[str], experts: int) -> None:
        self.features = features  # (n, ΣF_e), an expert's unit features after the other's
        self.split = split  # of the same n pictures
        self.class_names = class_names
        self.experts = experts

    def nearest(self, feature: torch.Tensor) -> list[Similar]:
        """Return the pictures nearest to one of features (ΣF_e,), the most similar first.

        similarity = 1/E · Σ_e f_e · g_e
        """
        similarities = self.features @ feature / self.experts  # (n,)
        best = similarities.topk(min(SHOWN, len(similarities)))
        return [self._similar(*pair) for pair in zip(best.indices.tolist(), best.values.tolist(), strict=True)]

    def _similar(self, place: int, similarity: float) -> Similar:
        label = self.class_names[self.split.labels[place]]
        return Similar(self.split.name(place), label, similarity, thumbnail(self.split.images[place]))


def neighbors_of(model: Model, collection: Collection, folder: Path) -> Neighbors:
    """Return the neighbors among the training pictures, from `folder` if they are there, else computed and kept."""
    identity = {"model": model.mixture.fingerprint(), "pictures": _digest(collection)}
    table = _kept(folder / FILE, identity)
    if table is None:
        table = _computed(model, collection.train)
        _keep(folder / FILE, table, identity)
    split = collection.train.subset(table["places"].numpy())
    return Neighbors(table["features"], split, collection.class_names, len(model.mixture.experts))


def _computed(model: Model, split: Split) -> Table:
    """Return the features of the pictures that can be read, and their places in the split."""
    with fault_progress(len(split)) as advance:
        good, faults = check({"train": split}, "skip", model.settings.data.largest_megapixels, advance)
    bad = {name for name, _ in faults}
    places = [place for place in range(len(split)) if split.name(place) not in bad]
    pictures = Pictures(good["train"], 0)
    views = evaluation_views(model.mixture, pictures)
    batches = model.runner.expert_outputs(model.mixture, views, each_once(pictures), "Similar pictures, once")
    with torch.no_grad():
        features = [
            torch.cat([*predict_batch(model.mixture, expert_outputs).features.values()], 1)
            for expert_outputs, _, _ in batches
        ]
    return {"features": torch.cat(features), "places": torch.tensor(places)}


def _digest(collection: Collection) -> str:
    """Return a sha256 of the training pictures' names and labels."""
    digest, split = hashlib.sha256(), collection.train
    for place, label in enumerate(split.labels.tolist()):
        digest.update(f"{label} {split.name(place)}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _kept(path: Path, identity: dict[str, str]) -> Table | None:
    """Return the table that was kept of this model and these pictures; None where there is none."""
    try:
        with safe_open(path, "pt") as file:
            known = file.metadata() == identity
            return {key: file.get_tensor(key) for key in file.keys()} if known else None  # noqa: SIM118
    except (FileNotFoundError, SafetensorError):
        return None


def _keep(path: Path, table: Table, identity: dict[str, str]) -> None:
    try:
        with replacing(path, "wb") as file:
            file.write(save(table, identity))
    except OSError as error:
        log.warning("%s cannot be written (%s): similar pictures are looked for again next time.", path, error)
