"""The prediction for an image as plain data: the mixture, each expert, the scorer weights, similar training images.

Shapes: C classes.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from lptpp.app.neighbors import Neighbors, SimilarImage
from lptpp.data.dataset import ImageReference
from lptpp.data.decode import Decoding, try_decode
from lptpp.data.statistics import shots
from lptpp.inference.model import Model
from lptpp.inference.pipeline import BatchPrediction
from lptpp.report.thumbnails import thumbnail

TOP_K, EXPERT_TOP_K = 5, 3  # classes shown for the mixture and for each expert


class ImageInput(NamedTuple):
    """An image to classify: its display name, where it is, and its class if known."""

    name: str
    image: ImageReference
    true: str | None = None


@dataclass(frozen=True)
class ClassScore:
    """A class, its probability, and its number of training images."""

    label: str
    probability: float
    training_images: int
    shot: str  # many, medium or few


@dataclass(frozen=True)
class ExpertPrediction:
    """The prediction of one expert alone, its scorer weight, and the prompt groups it uses."""

    name: str
    weight: float
    best: list[ClassScore]
    groups: list[int]  # counted from 1, best match first
    num_groups: int  # 0 for an expert without group prompts


@dataclass(frozen=True)
class ImagePrediction:
    """Everything a card shows for one image."""

    name: str
    thumbnail: str | None  # data URI
    true: str | None
    best: list[ClassScore]
    experts: list[ExpertPrediction]
    similar: list[SimilarImage]


@dataclass(frozen=True)
class RejectedImage:
    """An image that cannot be classified; its name followed by `reason` is a sentence."""

    name: str
    reason: str


class ImagePredictor:
    """Classify images one by one; with `neighbors`, also find similar training images."""

    def __init__(self, model: Model, neighbors: Neighbors | None = None, decoding: Decoding | None = None) -> None:
        self.model = model
        self.decoding = decoding or model.decoding
        self.neighbors = neighbors
        self.shots = shots(model.counts, model.settings.evaluation.shot_thresholds)  # (C,)
        self.pipeline = model.pipeline()

    def predict(self, given: ImageInput) -> ImagePrediction | RejectedImage:
        """Classify an image; an unreadable or too large one is rejected with the reason."""
        image = try_decode(given.image, self.decoding)
        if isinstance(image, str):
            return RejectedImage(given.name, f"{image}.")
        outputs = self.pipeline.forward([self.pipeline.view(image)])
        return ImagePrediction(
            given.name,
            thumbnail(np.asarray(image)),
            given.true,
            self._best(outputs.probabilities[0], TOP_K),
            self._experts(outputs),
            self._similar(outputs),
        )

    def warm_up(self) -> None:
        """Classify a gray image, so that one-time initialization does not delay the first visitor."""
        self.predict(ImageInput("gray", np.full((64, 64, 3), 128, np.uint8)))

    def _similar(self, outputs: BatchPrediction) -> list[SimilarImage]:
        if self.neighbors is None:
            return []
        return self.neighbors.nearest(torch.cat([*outputs.features.values()], 1)[0])

    def _experts(self, outputs: BatchPrediction) -> list[ExpertPrediction]:
        settings = self.model.settings.experts
        groups = {name: [1 + group for group in found[0].tolist()] for name, found in outputs.groups.items()}
        return [
            ExpertPrediction(
                name,
                weight,
                self._best(outputs.experts[name][0], EXPERT_TOP_K),
                groups.get(name, []),
                settings[name].num_groups if name in groups else 0,
            )
            for name, weight in zip(outputs.experts, outputs.weights[0].tolist(), strict=True)
        ]

    def _best(self, probabilities: torch.Tensor, top_k: int) -> list[ClassScore]:
        """Return the `top_k` best classes of one image; probabilities: (C,)."""
        names, counts = self.model.class_names, self.model.counts
        best = probabilities.topk(min(top_k, len(names)))
        pairs = zip(best.indices.tolist(), best.values.tolist(), strict=True)
        return [ClassScore(names[c], p, int(counts[c]), str(self.shots[c])) for c, p in pairs]
