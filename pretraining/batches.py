"""Training batches of cached crops: a fixed share of each source, with CutMix on tokens."""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from lptpp.utils.random import generator
from pretraining.cache import Cached, Stem
from pretraining.names import IMAGENET
from pretraining.settings import TowerSettings


@dataclass
class Batch:
    """B images as stem tokens with their targets; the last E are emoji, the others photographs."""

    tokens: torch.Tensor  # (B, N, 1280)
    teacher: torch.Tensor  # (B, 1280) pooled feature of the same crop at the teacher's input size
    classes: torch.Tensor  # (B − E, 1000) share of each ImageNet class
    emoji: torch.Tensor  # (E, number of emoji) share of each emoji

    @property
    def pooled(self) -> torch.Tensor:
        """Return the stem's own pooled feature (B, 1280)."""
        return self.tokens.mean(1)


class Batches:
    """Random batches; a batch depends only on the seed and the step."""

    def __init__(self, sources: dict[str, Cached], emoji: int, stem: Stem, settings: TowerSettings) -> None:
        self.sources, self.stem, self.settings = sources, stem, settings
        self.emoji = emoji  # number of emoji

    @torch.no_grad()
    def __call__(self, step: int) -> Batch:
        """Return the batch of a step."""
        settings, device = self.settings, self.stem.device
        draw = generator(settings.seed, "batch", step)
        maps, teacher, labels = [], [], {}
        for name, cached in sorted(self.sources.items(), key=lambda item: item[0] == "emoji"):
            size = round(settings.batch_size * settings.shares[name])
            rows = torch.from_numpy(draw.integers(len(cached.labels), size=size))
            maps.append(cached.maps[rows.to(cached.maps.device)].to(device))
            teacher.append(cached.teacher[rows.to(cached.maps.device)].to(device).float())
            labels[name] = cached.labels[rows]
        photographs = torch.cat([one for name, one in labels.items() if name != "emoji"])
        batch = Batch(
            self.stem.tokens(torch.cat(maps)),
            torch.cat(teacher),
            F.one_hot(photographs, len(IMAGENET)).float().to(device),
            F.one_hot(labels["emoji"], self.emoji).float().to(device),
        )
        return swapped(batch, draw) if draw.random() < settings.mixed else batch


def swapped(batch: Batch, draw: np.random.Generator) -> Batch:
    """Replace a rectangle of each image's tokens by its neighbor's (CutMix, Yun et al. 2019, on tokens).

    The target of the stem's pooled feature, the mean over tokens, stays exact; the teacher's features and the labels
    are mixed by the share of tokens.
    """
    count = batch.tokens.shape[1]
    side = round(count**0.5)
    top, bottom = np.sort(draw.integers(side + 1, size=2))
    left, right = np.sort(draw.integers(side + 1, size=2))
    foreign = torch.zeros(side, side, device=batch.tokens.device, dtype=torch.bool)
    foreign[top:bottom, left:right] = True
    share = (bottom - top) * (right - left) / count
    photographs = len(batch.classes)
    partner = torch.cat([torch.arange(photographs).roll(1), photographs + torch.arange(len(batch.emoji)).roll(1)])
    partner = partner.to(batch.tokens.device)

    def mixed(values: torch.Tensor) -> torch.Tensor:
        return (1 - share) * values + share * values.roll(1, 0)

    return Batch(
        torch.where(foreign.flatten()[:, None], batch.tokens[partner], batch.tokens),
        (1 - share) * batch.teacher + share * batch.teacher[partner],
        mixed(batch.classes),
        mixed(batch.emoji),
    )
