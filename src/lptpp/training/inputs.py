"""What each stage learns from: augmented views of the training images, or the outputs of the frozen experts."""

from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from lptpp.config import Settings
from lptpp.config.stages import SCORER, StageKey
from lptpp.data.augment import Augmentation
from lptpp.data.cache import ImageCache
from lptpp.data.dataset import ImageDataset, Split
from lptpp.data.loader import EpochSamples, SomeViews, ViewDataset, batches
from lptpp.data.prepare import decoding
from lptpp.data.split import at_most, stratified_split
from lptpp.data.transforms import BatchTransform
from lptpp.inference.pipeline import Pipeline, features_of, frozen_features
from lptpp.inference.runtime import Runner
from lptpp.models.encoder import AdaptedEncoder
from lptpp.models.expert import Expert, ExpertOutput
from lptpp.models.mixture import Mixture
from lptpp.training.cached_views import CachedViews, stem_maps
from lptpp.training.dual_sampling import TrainingData
from lptpp.training.loop import Stage
from lptpp.training.output_store import RowStore
from lptpp.training.phases import Features, group_phase, shared_phase, start_keys
from lptpp.training.scorer_phase import ScorerData, ScorerDraws, ScorerRows, scorer_data, scorer_draws
from lptpp.utils import exchange, processes
from lptpp.utils.errors import UserError
from lptpp.utils.memory import cache_bytes
from lptpp.utils.progress import progress_bar

FEW = 20_000  # images whose features are computed in a few minutes on a CPU
SAMPLE = 1_000  # of more images, those whose features are computed in seconds
OUTPUTS = "Phase 3: expert outputs"  # in the progress
Outputs = Iterable[tuple[dict[str, ExpertOutput], torch.Tensor]]  # with labels (B,)


def averaged_per_class(labels: np.ndarray, mean_images: str) -> int:
    """Return how many images of each class start a classifier, given all labels (n,) and the setting; 0 for all."""
    if mean_images != "auto":
        return int(mean_images)
    return max(1, SAMPLE // len(np.unique(labels))) if len(labels) > FEW else 0


def keeps_whole_scores(settings: Settings) -> bool:
    """Return whether phase 3 needs the scores of all classes, not only of the true one: also for weights per class."""
    scorer = settings.phase3
    return (scorer.reads, scorer.mixes) != ("features", "probabilities") or "mixing" in settings.evaluation.controls


class TrainingInputs:
    """The training images of a run as its experts and its scorer see them."""

    def __init__(self, settings: Settings, collection: ImageDataset, mixture: Mixture, runner: Runner) -> None:
        self.settings = settings
        self.collection = collection
        self.mixture = mixture
        self.runner = runner
        self.memory = cache_bytes(settings.data.memory_gb)
        self.cache, self.scorer_cache = (
            ImageCache(split, self.memory, decoding(settings))
            for split in held_back(collection.train, settings.phase3.held_back, settings.seed)
        )
        self.maps: dict[str, torch.Tensor] = {}  # of each expert's cached views

    def validation(self) -> ImageCache:
        """Return the images of the validation split, which must exist."""
        assert self.collection.validation is not None
        return ImageCache(self.collection.validation, self.memory, decoding(self.settings))

    def training_data(self, name: str, kept: np.ndarray | None = None) -> TrainingData:
        """Return what an expert learns from in phases 1 and 2; only the images at `kept` (m,), if given."""
        cached = self.settings.augmentation.cached_views
        views = self._cached([name]) if cached else self.augmented([name], self.cache)
        views = views if kept is None else SomeViews(views, kept)
        counts = np.bincount(views.labels, minlength=len(self.collection.class_names))
        workers = self.runner.loader_workers(0 if cached else len(views))
        return TrainingData(
            views, torch.from_numpy(counts), self.settings.seed, workers, self.settings.shards, self.runner.is_gpu
        )

    def frozen(self, name: str) -> Features:
        """Return the computation of the features of training images by an expert's pretrained backbone alone.

        They are all images, or as many of each class as the settings say.
        """
        expert, some = self.mixture.experts[name], self.averaged(name)
        images = self.cache if len(some) == len(self.cache) else self.cache.subset(some)
        return lambda: frozen_features(expert, images, self.runner, f"{name}, first classifier: class means")

    def averaged(self, name: str) -> np.ndarray:
        """Return the indices of the training images whose features start an expert's classifier, ascending, int64."""
        labels = self.cache.split.labels
        most = averaged_per_class(labels, str(self.settings.experts[name].mean_images))
        return at_most(labels, most, self.settings.seed) if most else np.arange(len(labels))

    def expert_stage(self, key: StageKey, expert: Expert, kept: np.ndarray | None = None) -> Stage:
        """Return phase 1 or 2 of an expert; on the images at `kept` alone, if given."""
        name, settings, data = key.owner, self.settings.experts[key.owner], self.training_data(key.owner, kept)
        if key.phase == 1:
            return shared_phase(name, expert, data, self.settings.phase1, settings.learning_rate_factor)
        images = self.cache if kept is None else self.cache.subset(kept)
        assert isinstance(expert.encoder, AdaptedEncoder), "only an expert with prompts has a phase 2"
        queries = partial(features_of, expert.encoder.query, expert, images, self.runner, f"{name}: queries")
        keys = partial(start_keys, expert, queries, self.settings.seed) if settings.keys == "kmeans" else None
        return group_phase(name, expert, data, self.settings.phase2, settings.learning_rate_factor, keys)

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

    def scorer_data(self) -> ScorerData | None:
        """Return the experts' outputs for all views that phase 3 draws; None except in the main process."""
        draws = self.scorer_draws()
        taken = draws.taken()
        rows = self.scorer_outputs(self.mixture, taken)
        return None if rows is None else scorer_data([rows], [taken], draws)

    def scorer_draws(self, usable: np.ndarray | None = None) -> ScorerDraws:
        """Return what phase 3 draws, of the `usable` images alone."""
        return scorer_draws(self.scorer_cache.split.labels, self.settings.phase3, self.settings.seed, usable)

    @torch.no_grad()
    def scorer_outputs(self, mixture: Mixture, taken: np.ndarray, progress: str = OUTPUTS) -> ScorerRows | None:
        """Return the outputs of the experts of a mixture for the views with the numbers `taken`.

        The processes of a run share the views; all but the main one return None.
        """
        own = (self._scorer_part(mixture, *batch) for batch in self._scorer_batches(mixture, taken, progress))
        store = RowStore(len(taken), self.memory, Path(self.settings.run))
        names = [*(f"features {name}" for name in mixture.experts), "confidences"]
        for part in exchange.in_order(own):
            if processes.is_main():
                store.add([part[name] for name in names])
                store.add_targets(part["targets"])
        if not processes.is_main():
            return None
        *features, confidences = store.columns
        return ScorerRows(features, confidences, store.targets)

    def _scorer_part(
        self, mixture: Mixture, outputs: dict[str, ExpertOutput], labels: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        """Return the fields of `ScorerRows` for a batch, with the features of each expert."""
        whole = keeps_whole_scores(self.settings)
        scores = mixture.confidences(outputs)  # (B, E, C)
        of_truth = labels.to(scores.device)[:, None, None].expand(-1, len(outputs), 1)
        features = {f"features {name}": F.normalize(one.feature.float(), dim=-1) for name, one in outputs.items()}
        confidences = scores if whole else scores.gather(2, of_truth)
        return {**features, "confidences": confidences, "targets": labels if whole else torch.zeros_like(labels)}

    def _scorer_batches(self, mixture: Mixture, taken: np.ndarray, progress: str) -> Outputs:
        """Yield expert outputs and labels (B,), batch by batch: those that this process computes."""
        if not self.settings.phase3.views:
            found = Pipeline(mixture, self.runner).expert_outputs(self.scorer_cache, progress, taken.tolist())
            return ((outputs, labels) for outputs, labels, _ in found)
        return self._augmented_outputs(mixture, taken, progress)

    def _augmented_outputs(self, mixture: Mixture, taken: np.ndarray, progress: str) -> Outputs:
        cache, names = self.scorer_cache, list(mixture.experts)
        images = np.tile(np.arange(len(cache)), self.settings.phase3.views)
        own = np.array(processes.own_rows(taken.tolist(), self.runner.batch_size), dtype=taken.dtype)
        draws = EpochSamples(images, self.settings.seed, str(SCORER), "views").at(own)
        cached = self.settings.augmentation.cached_views and not self.settings.phase3.held_back
        views = self._cached(names) if cached else self.augmented(names, cache)
        with progress_bar(progress, len(draws), unit="views") as bar:
            workers = self.runner.loader_workers(0 if cached else len(draws))
            loader = batches(views, draws, self.runner.batch_size, workers, pin=self.runner.is_gpu)
            for outputs, labels, _ in self.runner.expert_outputs(mixture, loader):
                yield outputs, labels
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
