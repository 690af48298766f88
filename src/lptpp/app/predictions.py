"""What is said of a picture, as plain data: the mixture's answer, each expert's, and how the scorer weighs them."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from lptpp.app.neighbors import Neighbors, Similar
from lptpp.data.dataset import ImageReference
from lptpp.data.decode import examine
from lptpp.data.statistics import shots
from lptpp.inference.model import Model
from lptpp.inference.outputs import BatchPrediction
from lptpp.report.thumbnails import thumbnail

BEST, BEST_OF_EXPERT = 5, 3  # classes told
LARGEST_RATIO = 100  # of the sides: a longer picture, resized to cover what a backbone sees, takes gigabytes


class Asked(NamedTuple):
    """A picture to be judged: what it is called, where it is, and its class where that is known."""

    name: str
    image: ImageReference
    true: str | None = None


@dataclass(frozen=True)
class Chance:
    """A class, its probability, and how many images there were to learn it from."""

    label: str
    probability: float
    training_images: int
    shot: str  # many, medium or few


@dataclass(frozen=True)
class ExpertPrediction:
    """What one expert says alone, the scorer's weight for it, and the groups of prompts that it chose."""

    name: str
    weight: float
    best: list[Chance]
    groups: list[int]  # counted from 1, the best matched first
    num_groups: int  # groups to choose from; 0 for an expert without any


@dataclass(frozen=True)
class PicturePrediction:
    """All that is said of one picture."""

    name: str
    picture: str | None  # a small copy as data URI
    true: str | None
    best: list[Chance]
    experts: list[ExpertPrediction]
    similar: list[Similar]


@dataclass(frozen=True)
class Refused:
    """A picture of which nothing can be said: its name followed by `reason` is a sentence."""

    name: str
    reason: str


class PicturePredictor:
    """A model that tells all it thinks of a picture, with training pictures like it where `neighbors` knows some."""

    def __init__(self, model: Model, neighbors: Neighbors | None = None) -> None:
        self.model = model
        self.neighbors = neighbors
        low, high = model.settings.evaluation.shot_thresholds
        self.shots = shots(model.counts, (low, high))  # (C,)
        self.look = model.looking()

    def predict(self, asked: Asked) -> PicturePrediction | Refused:
        """Return what is said of a picture; one that cannot be used is refused in a sentence."""
        picture = examine(asked.image, self.model.settings.data.largest_megapixels)
        if isinstance(picture, str):
            return Refused(asked.name, f"{picture}.")
        if max(picture.size) > LARGEST_RATIO * min(picture.size):
            return Refused(asked.name, f"has a side more than {LARGEST_RATIO} times as long as the other.")
        expert_outputs = self.model.forward([self.look(picture)])
        return PicturePrediction(
            asked.name,
            thumbnail(np.asarray(picture)),
            asked.true,
            self._chances(expert_outputs.probabilities[0], BEST),
            self._of_experts(expert_outputs),
            []
            if self.neighbors is None
            else self.neighbors.nearest(torch.cat([*expert_outputs.features.values()], 1)[0]),
        )

    def warm_up(self) -> None:
        """Judge a gray picture: what is prepared only once is then ready for the first visitor."""
        self.predict(Asked("gray", np.full((64, 64, 3), 128, np.uint8)))

    def _of_experts(self, expert_outputs: BatchPrediction) -> list[ExpertPrediction]:
        settings = self.model.settings.experts
        groups = {name: [1 + group for group in chosen[0].tolist()] for name, chosen in expert_outputs.groups.items()}
        return [
            ExpertPrediction(
                name,
                weight,
                self._chances(expert_outputs.experts[name][0], BEST_OF_EXPERT),
                groups.get(name, []),
                settings[name].num_groups if name in groups else 0,
            )
            for name, weight in zip(expert_outputs.experts, expert_outputs.weights[0].tolist(), strict=True)
        ]

    def _chances(self, probabilities: torch.Tensor, number: int) -> list[Chance]:
        """Return the best classes of one picture; probabilities: (C,)."""
        names, counts = self.model.class_names, self.model.counts
        best = probabilities.topk(min(number, len(names)))
        pairs = zip(best.indices.tolist(), best.values.tolist(), strict=True)
        return [Chance(names[c], p, int(counts[c]), str(self.shots[c])) for c, p in pairs]
