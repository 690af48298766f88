"""Evaluation of the towers and their stems: probes and zero-shot accuracy on images not used in pretraining."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from sklearn.linear_model import LogisticRegression

from lptpp.backbones.base import Backbone
from lptpp.backbones.card_files import read_card
from lptpp.backbones.cards import load_card
from lptpp.data.cache import ImageCache
from lptpp.data.dataset import ImageDataset, Split
from lptpp.data.transforms import evaluation_transform
from lptpp.evaluation.metrics import class_accuracy, percent
from lptpp.models.head import class_means
from lptpp.utils.progress import progress_bar
from pretraining.names import imagenet_names
from pretraining.pack import read_source

SLICE = 16  # images per forward pass
STRENGTH = 10.0  # scikit-learn's C, as in the linear probe of the package
EMOJI_TEMPLATES = ["an emoji of {}."]
TEMPLATES = ["a photo of a {}.", "a blurry photo of a {}.", "a close-up photo of a {}.", "a {}."]


@dataclass(frozen=True)
class Features:
    """Unit features of a split, by model: `tower` (n, F) and `stem` (n, 1280)."""

    by: dict[str, np.ndarray]
    labels: np.ndarray  # (n,)


@torch.inference_mode()
def features(backbone: Backbone, split: Split, path: Path) -> Features:
    """Return the features of a split, cached in the file `path`."""
    if not path.is_file():
        look, tower, pictures = evaluation_transform(backbone.preprocessing), backbone.tower, ImageCache(split, 0)
        tower.patch_embed.backbone.to(memory_format=torch.channels_last)
        found: list[tuple[torch.Tensor, torch.Tensor]] = []
        with progress_bar(str(path), len(split)) as bar:
            for start in range(0, len(split), SLICE):
                places = range(start, min(start + SLICE, len(split)))
                images = torch.stack([look(pictures.load(i)) for i in places]).contiguous(
                    memory_format=torch.channels_last
                )
                found.append((tower(images), tower.patch_embed.backbone(images).mean((2, 3))))
                bar.advance(len(places))
        towers, stems = (F.normalize(torch.cat(one), dim=-1) for one in zip(*found, strict=True))
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file({"tower": towers, "stem": stems, "labels": torch.from_numpy(split.labels)}, path)
    tensors = {name: value.numpy() for name, value in load_file(path).items()}
    return Features({name: tensors[name] for name in ("tower", "stem")}, tensors["labels"])


class Measurement:
    """Accuracies of one tower; remembers which test images its probes get right."""

    def __init__(self, backbone: Backbone, work: Path) -> None:
        self.backbone, self.work = backbone, work
        self.hits: dict[str, np.ndarray] = {}  # of the probe without prior, by data set

    def probes(self, name: str, collection: ImageDataset) -> Iterator[tuple[str, float]]:
        """Yield (name, percent) for probes fitted on the training split and evaluated on the test split."""
        train, test = (self._features(name, part, split) for part, split in _parts(collection))
        counts = collection.counts()
        for kind in ("tower", "stem"):
            x, y = train.by[kind], train.labels
            means = class_means(torch.from_numpy(x), torch.from_numpy(y), torch.zeros(len(counts), x.shape[1])).numpy()
            yield from _scores(f"{name}, {kind}: class means", (test.by[kind] @ means.T).argmax(1), test.labels, counts)
            probe = LogisticRegression(C=STRENGTH, max_iter=300).fit(x, y)
            logits = probe.decision_function(test.by[kind])
            yield from _scores(f"{name}, {kind}: probe", probe.classes_[logits.argmax(1)], test.labels, counts)
            free = logits - np.log(counts[probe.classes_])
            predicted = probe.classes_[free.argmax(1)]
            yield from _scores(f"{name}, {kind}: probe without prior", predicted, test.labels, counts)
            if kind == "tower":
                self.hits[name] = predicted == test.labels

    def zero_shot(
        self, name: str, split: Split, class_names: list[str], templates: list[str]
    ) -> Iterator[tuple[str, float]]:
        """Yield (name, percent) for zero-shot top-1 and top-5; nothing for a tower without a text tower."""
        if self.backbone.text is None:
            return
        found = self._features(name, "test", split)
        vectors = self.backbone.text.class_vectors(class_names, templates).numpy()
        best = (found.by["tower"] @ vectors.T).argsort(1)[:, ::-1]
        yield f"{name}: zero-shot top-1", 100 * float((best[:, 0] == found.labels).mean())
        yield f"{name}: zero-shot top-5", 100 * float((best[:, :5] == found.labels[:, None]).any(1).mean())

    def _features(self, name: str, part: str, split: Split) -> Features:
        path = self.work / self.backbone.fingerprint[:12] / f"{name}.{part}.{len(split)}.safetensors"
        return features(self.backbone, split, path)


def load_tower(path: Path) -> Backbone:
    """Return the backbone in a file written by `ship`."""
    card = read_card(path)
    if card is None:
        raise FileNotFoundError(f"{path} does not contain a tower: write one with `python -m pretraining ship`.")
    return load_card(path, card)


def packed_collection(pack: Path, per_class: int) -> ImageDataset:
    """Return the first `per_class` images of each Tiny-ImageNet class, with its validation split as the test split."""
    train, test = _split(pack, "tiny_imagenet"), _split(pack, "tiny_imagenet_validation")
    classes = np.unique(train.labels)
    train = train.subset(np.concatenate([np.flatnonzero(train.labels == c)[:per_class] for c in classes]))
    for split in (train, test):
        split.labels = np.searchsorted(classes, split.labels)
    return ImageDataset([imagenet_names()[c] for c in classes], train, None, test)


def held_out_photos(pack: Path) -> Split:
    """Return the held-out photos, labeled by their index among the 1,000 classes."""
    return _split(pack, "photos_held_out")


def exactly_one(first: Measurement, second: Measurement, name: str) -> float:
    """Return the percentage of test images that exactly one of two towers' probes classifies correctly."""
    return percent(first.hits[name] != second.hits[name]) or 0.0


def _split(pack: Path, source: str) -> Split:
    packed = read_source(pack, source)
    return Split([one.permute(1, 2, 0).numpy() for one in packed.pictures], packed.labels.numpy())


def _parts(collection: ImageDataset) -> list[tuple[str, Split]]:
    assert collection.test is not None
    return [("train", collection.train), ("test", collection.test)]


def _scores(title: str, predicted: np.ndarray, labels: np.ndarray, counts: np.ndarray) -> Iterator[tuple[str, float]]:
    accuracy, tested = class_accuracy(predicted, labels, len(counts))
    yield f"{title}, overall", 100 * float((predicted == labels).mean())
    yield f"{title}, mean class", float(accuracy[tested > 0].mean())
