"""Training tasks of the towers: distillation from stem and teacher, and labels or names."""

import math

import numpy as np
import torch
import torch.nn.functional as F
from timm.models.vision_transformer import VisionTransformer
from torch import nn

from lptpp.backbones.hybrid import TextEncoder
from lptpp.utils.random import generator
from pretraining.batches import Batch
from pretraining.cache import Stem
from pretraining.names import IMAGENET, Names, OneName, RandomCut
from pretraining.settings import TowerSettings
from pretraining.towers import pooled_feature

KNOWN = 0.5  # weight of the label in the target of a photograph; the rest is the teacher's
SMOOTHING = 0.1
PHOTOGRAPHS = (
    "a photo of a {}.",
    "a blurry photo of a {}.",
    "a close-up photo of a {}.",
    "a picture of a {}.",
    "a {}.",
    "{}",
)
DRAWINGS = ("an emoji of {}.", "a drawing of {}.", "{}")


class Distillation(nn.Module):
    """2·(1 − cos) to the pooled features of the stem and of the teacher, each through a linear map, plus geometry.

    Information that a linear map can recover may have too little variance for a probe or a nearest class mean. So the
    similarities between images are distilled too: `geometry` times the mean squared difference of the cosines of all
    pairs (Tung and Mori 2019, arXiv 1907.09682, with centered features).
    """

    def __init__(self, width: int, stem_width: int, geometry: float) -> None:
        super().__init__()
        self.geometry = geometry
        self.to_stem = nn.Linear(width, stem_width)
        self.to_teacher = nn.Linear(width, stem_width)

    @torch.no_grad()
    def start(self, feature: torch.Tensor, pooled: torch.Tensor, teacher: torch.Tensor) -> None:
        """Set both maps to the least-squares solution for features (n, F) and targets (n, 1280) each."""
        inputs = F.pad(feature, (0, 1), value=1.0)
        for linear, target in ((self.to_stem, pooled), (self.to_teacher, teacher)):
            solution = torch.linalg.lstsq(inputs, target).solution  # (F + 1, 1280)
            linear.weight.copy_(solution[:-1].T)
            linear.bias.copy_(solution[-1])

    def forward(self, feature: torch.Tensor, batch: Batch) -> torch.Tensor:
        """Return the loss of features (B, F)."""
        to_stem = F.cosine_similarity(self.to_stem(feature), batch.pooled)
        to_teacher = F.cosine_similarity(self.to_teacher(feature), batch.teacher)
        return 2 * (1 - to_stem).mean() + 2 * (1 - to_teacher).mean() + self.geometry * self._geometry(feature, batch)

    def _geometry(self, feature: torch.Tensor, batch: Batch) -> torch.Tensor:
        found = F.normalize(feature, dim=-1)
        wanted = F.normalize(batch.teacher - batch.teacher.mean(0), dim=-1)
        return F.mse_loss(found @ found.T, wanted @ wanted.T)


class VisionTask(nn.Module):
    """Task of the visual tower: distillation, the teacher's class probabilities, labels, and emoji classification."""

    def __init__(self, tower: VisionTransformer, stem: Stem, emoji: int, settings: TowerSettings) -> None:
        super().__init__()
        self.emoji_weight = settings.emoji_weight
        self.tower = tower
        self.stem = [stem]  # in a list, so that it is not a submodule
        width = tower.embed_dim
        self.distillation = Distillation(width, stem.network.num_features, settings.geometry)
        self.taught = nn.Linear(width, len(IMAGENET))
        self.labels = nn.Linear(width, len(IMAGENET))
        self.emoji = nn.Linear(width, emoji)

    def feature(self, batch: Batch) -> torch.Tensor:
        """Return the feature (B, D)."""
        return pooled_feature(self.tower, batch.tokens)

    def forward(self, batch: Batch, step: int) -> torch.Tensor:
        """Return the loss of a batch."""
        feature = self.feature(batch)
        photographs = len(batch.classes)
        taught = self.stem[0].classify(batch.teacher).softmax(-1)
        return (
            self.distillation(feature, batch)
            + F.kl_div(self.taught(feature).log_softmax(-1), taught, reduction="batchmean")
            + F.cross_entropy(self.labels(feature[:photographs]), batch.classes, label_smoothing=SMOOTHING)
            + self.emoji_weight
            * F.cross_entropy(self.emoji(feature[photographs:]), batch.emoji, label_smoothing=SMOOTHING)
        )


class LanguageTask(nn.Module):
    """Task of the vision-language tower: distillation, and names instead of labels.

    Every step draws a random cut through WordNet, so that an image has many correct names over time but the names of
    one step are mutually exclusive. Emoji are classified by name among those in the batch.
    """

    def __init__(
        self,
        tower: VisionTransformer,
        text: TextEncoder,
        stem: Stem,
        names: Names,
        tokens: dict[str, torch.Tensor],
        settings: TowerSettings,
    ) -> None:
        super().__init__()
        self.emoji_weight = settings.emoji_weight
        self.tower, self.text = tower, text
        self.stem, self.seed = [stem], settings.seed
        self.cut, self.emoji = RandomCut(names), OneName(names.emoji)
        self.tokens = tokens  # of every string in each template: (templates, strings, T)
        self.distillation = Distillation(tower.head.out_features, stem.network.num_features, settings.geometry)

    def feature(self, batch: Batch) -> torch.Tensor:
        """Return the feature (B, F)."""
        return self.tower.head(pooled_feature(self.tower, batch.tokens))

    def forward(self, batch: Batch, step: int) -> torch.Tensor:
        """Return the loss of a batch."""
        feature = self.feature(batch)
        photographs = len(batch.classes)
        unit = self.text.logit_scale.clamp(max=math.log(100)).exp() * F.normalize(feature, dim=-1)
        taught = self.stem[0].classify(batch.teacher[:photographs]).softmax(-1)
        target = KNOWN * batch.classes + (1 - KNOWN) * taught  # (B − E, 1000)
        return (
            self.distillation(feature, batch)
            + self._photographs(unit[:photographs], target, step)
            + self.emoji_weight * self._emoji(unit[photographs:], batch.emoji, step)
        )

    def _photographs(self, scaled: torch.Tensor, target: torch.Tensor, step: int) -> torch.Tensor:
        strings, place = self.cut.draw(generator(self.seed, "cut", step))
        place = torch.from_numpy(place).to(scaled.device)
        grouped = target.new_zeros(len(target), len(strings)).index_add_(1, place, target)  # (B, G)
        return F.cross_entropy(scaled @ self._texts("photographs", strings, step).T, grouped)

    def _emoji(self, scaled: torch.Tensor, shares: torch.Tensor, step: int) -> torch.Tensor:
        present = shares.any(0).nonzero().flatten()  # (G,)
        strings = self.emoji.draw(generator(self.seed, "emoji", step))[present.cpu().numpy()]
        target = shares[:, present]
        return F.cross_entropy(scaled @ self._texts("drawings", strings, step).T, target, label_smoothing=SMOOTHING)

    def _texts(self, kind: str, strings: np.ndarray, step: int) -> torch.Tensor:
        tokens = self.tokens[kind]
        chosen = generator(self.seed, kind, step).integers(len(tokens), size=len(strings))
        return self.text.encode_text(tokens[torch.from_numpy(chosen), torch.from_numpy(strings)], normalize=True)


def tokenized(names: Names, tokenizer: object, device: torch.device) -> dict[str, torch.Tensor]:
    """Return the token ids of every name in every template, (templates, strings, T), for each kind of image."""
    return {
        kind: torch.stack([tokenizer([one.format(name) for name in names.strings]) for one in templates]).to(device)  # type: ignore[operator]
        for kind, templates in (("photographs", PHOTOGRAPHS), ("drawings", DRAWINGS))
    }
