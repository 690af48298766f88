"""What each stage learns from: augmented views of the training images, or the outputs of the frozen experts."""

from collections.abc import Iterable, Sequence

import numpy as np
import torch
import torch.nn.functional as F

from lptpp.config import Settings
from lptpp.config.stages import SCORER
from lptpp.data.augment import Augmentation
from lptpp.data.cache import ImageCache
from lptpp.data.dataset import ImageDataset, Split
from lptpp.data.loader import EpochSamples, ViewDataset, batches
from lptpp.data.prepare import decoding
from lptpp.data.split import stratified_split
from lptpp.data.transforms import BatchTransform
from lptpp.inference.pipeline import Pipeline
from lptpp.inference.runtime import Runner
from lptpp.models.expert import ExpertOutput
from lptpp.models.mixture import Mixture
from lptpp.training.cached_views import CachedViews, stem_maps
from lptpp.training.dual_sampling import TrainingData
from lptpp.training.phases import ScorerData, scorer_orders
from lptpp.utils.errors import UserError
from lptpp.utils.memory import gb_to_bytes
from lptpp.utils.progress import progress_bar

Outputs = Iterable[tuple[dict[str, ExpertOutput], torch.Tensor, torch.Tensor]]  # with labels (B,) and indices (B,)


class TrainingInputs:
    """The training images of a run as its experts and its scorer see them."""

    def __init__(self, settings: Settings, collection: ImageDataset, mixture: Mixture, runner: Runner) -> None:
        self.settings = settings
        self.collection = collection
        self.mixture = mixture
        self.runner = runner
        self.memory = gb_to_bytes(settings.data.memory_gb)  # bytes
        self.cache, self.scorer_cache = (
            ImageCache(split, self.memory, decoding(settings))
            for split in held_back(collection.train, settings.phase3.held_back, settings.seed)
        )
        self.maps: dict[str, torch.Tensor] = {}  # of each expert's cached views

    def validation(self) -> ImageCache:
        """Return the images of the validation split, which must exist."""
        assert self.collection.validation is not None
        return ImageCache(self.collection.validation, self.memory, decoding(self.settings))

    def training_data(self, name: str) -> TrainingData:
        """Return what an expert learns from in phases 1 and 2."""
        counts = self.cache.split.counts(len(self.collection.class_names))
        cached = self.settings.augmentation.cached_views
        views = self._cached([name]) if cached else self.augmented([name], self.cache)
        return TrainingData(views, torch.from_numpy(counts), self.settings.seed, self.settings.workers)

    def augmented(self, names: Sequence[str], cache: ImageCache) -> ViewDataset:
        """Return the augmented views of some experts."""
        augmentation = self.settings.augmentation
        transforms: dict[str, BatchTransform] = {
            name: Augmentation(
                self.mixture.experts[name].backbone.preprocessing,
                augmentation.smallest_crop,
                augmentation.flip,
                augmentation.color,
            )
            for name in names
        }
        return ViewDataset(cache, cache.split.labels, transforms)

    def _cached(self, names: Sequence[str]) -> ViewDataset:
        """Return the cached views of some experts; those that are missing are computed first."""
        number = self.settings.augmentation.cached_views
        for name in names:
            if name not in self.maps:
                expert = self.mixture.experts[name].to(self.runner.device)
                views = self.augmented([name], self.cache)
                self.maps[name] = stem_maps(name, expert, views, number, self.settings.seed, self.memory, self.runner)
        return CachedViews(self.augmented(names, self.cache), number, {name: self.maps[name] for name in names})

    @torch.no_grad()
    def scorer_data(self) -> ScorerData:
        """Return the experts' outputs for all views that phase 3 draws."""
        taken, orders = self.scorer_draws()
        whole = (self.settings.phase3.reads, self.settings.phase3.mixes) != ("features", "probabilities")
        features, confidences, targets = [], [], []
        for outputs, labels, _ in self._scorer_outputs(taken):
            scores = self.mixture.confidences(outputs)  # (B, E, C)
            of_truth = labels.to(scores.device)[:, None, None].expand(-1, len(outputs), 1)
            confidences.append((scores if whole else scores.gather(2, of_truth)).cpu())
            features.append([F.normalize(one.feature.float(), dim=-1).cpu() for one in outputs.values()])
            targets.append(labels if whole else torch.zeros_like(labels))
        joined = [torch.cat(batch) for batch in zip(*features, strict=True)]
        return ScorerData(joined, torch.cat(confidences), torch.cat(targets), orders)

    def scorer_draws(self) -> tuple[np.ndarray, list[np.ndarray]]:
        """Return which views phase 3 draws, each once, and the places in them that each of its epochs draws.

        With several views of each of n images, view v of image i is number v·n + i. Class-balanced epochs leave out
        many views of the largest classes: those are never computed.
        """
        settings, labels = self.settings.phase3, self.scorer_cache.split.labels
        orders = scorer_orders(np.tile(labels, max(1, settings.views)), settings, self.settings.seed)
        taken = np.unique(np.concatenate(orders))
        return taken, [np.searchsorted(taken, order) for order in orders]

    def _scorer_outputs(self, taken: np.ndarray) -> Outputs:
        cache, description = self.scorer_cache, "Expert outputs"
        if not self.settings.phase3.views:
            return Pipeline(self.mixture, self.runner).expert_outputs(cache, description, taken.tolist())
        return self._augmented_outputs(taken, description)

    def _augmented_outputs(self, taken: np.ndarray, description: str) -> Outputs:
        cache, names = self.scorer_cache, list(self.mixture.experts)
        images = np.tile(np.arange(len(cache)), self.settings.phase3.views)
        draws = EpochSamples(images, self.settings.seed, str(SCORER), "views").at(taken)
        cached = self.settings.augmentation.cached_views and not self.settings.phase3.held_back
        views = self._cached(names) if cached else self.augmented(names, cache)
        with progress_bar(description, len(draws)) as bar:
            loader = batches(views, draws, self.runner.batch_size, self.runner.workers)
            for outputs, labels, indices in self.runner.expert_outputs(self.mixture, loader):
                yield outputs, labels, indices
                bar.advance(len(labels))


def held_back(train: Split, share: float, seed: int) -> tuple[Split, Split]:
    """Return the images that the experts learn from and those that the scorer learns from; all for both if share is 0.

    Raises:
        UserError: the share of every class rounds to no image.
    """
    if not share:
        return train, train
    kept, drawn = stratified_split(train.labels, share, seed)
    if not len(drawn):
        raise UserError(f"phase3.held_back={share}: no class has enough images to hold one back; use 0.")
    return train.subset(kept), train.subset(drawn)
