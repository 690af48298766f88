"""A trained model, loaded from a run folder."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import cast, overload

import numpy as np
import PIL.Image
import torch

from lptpp.checkpoint.folder import finished_run
from lptpp.checkpoint.identity import check_backbones
from lptpp.checkpoint.store import load_tuned
from lptpp.config import Settings
from lptpp.data.dataset import EncodedImage, ImageReference
from lptpp.data.decode import UNLIMITED, of_pillow, unreadable_reason
from lptpp.data.prepare import decoding
from lptpp.inference.pipeline import BatchPrediction, ImageViews, Pipeline, chunks, read_ahead
from lptpp.inference.runtime import Runner, make_accelerator, place
from lptpp.models.build import build_mixture
from lptpp.models.mixture import Mixture
from lptpp.utils.errors import UserError
from lptpp.utils.progress import progress_bar
from lptpp.utils.text import counted, listed

Image = str | Path | PIL.Image.Image | bytes | np.ndarray
NAMED = 5  # classes in the description of a model


@dataclass(frozen=True)
class Prediction:
    """A class and its probability."""

    label: str
    probability: float


class Model:
    """A trained mixture with its class names and the number of training images of each class."""

    def __init__(
        self, mixture: Mixture, class_names: list[str], counts: np.ndarray, settings: Settings, runner: Runner
    ) -> None:
        self.mixture = mixture.to(runner.device)
        self.class_names = class_names
        self.counts = counts  # (C,)
        self.settings = settings
        self.runner = runner
        inputs = {name: expert.backbone.preprocessing for name, expert in mixture.experts.items()}
        self.decoding = decoding(settings, inputs)  # of image files: as in training

    def __repr__(self) -> str:
        """Return what the model is: method, experts, classes, training images and device."""
        experts = ", ".join(
            f"{name}: {expert.backbone.name} at {expert.backbone.preprocessing.size[0]} px"
            for name, expert in self.mixture.experts.items()
        )
        return (
            f"Model({self.settings.method}, {counted(len(self.class_names), 'class')}"
            f" ({listed(self.class_names, NAMED)}), {counted(int(self.counts.sum()), 'training image')}, experts:"
            f" {experts}, on {self.runner.device})"
        )

    @overload  # a str is a sequence of str, too: the first that fits counts
    def predict(self, images: Image, top_k: int = ...) -> list[Prediction]: ...  # type: ignore[overload-overlap]
    @overload
    def predict(self, images: Sequence[Image], top_k: int = ...) -> list[list[Prediction]]: ...

    def predict(self, images: Image | Sequence[Image], top_k: int = 1) -> list[Prediction] | list[list[Prediction]]:
        """Return the `top_k` most probable classes of one image, best first; for several images, a list of those.

        An image is a path, a Pillow image, the bytes of an image file, or a uint8 array (H, W, 3).

        Raises:
            UserError: `top_k` is below 1, or an image cannot be read.
        """
        if top_k < 1:
            raise UserError(f"top_k={top_k}: expected 1 or more.")
        single = _is_one(images)
        given = cast(Sequence[Image], [images] if single else images)
        references = [
            _reference(image, self.decoding.white) for image in given
        ]  # refused before the first is predicted
        pipeline, predictions = self.pipeline(), list[list[Prediction]]()
        batches = chunks(references, self.runner.batch_size)
        with progress_bar("Predicting", len(references), unit="images") as bar:
            for batch, views in read_ahead(batches, partial(self._read, pipeline)):
                predictions += self._best(pipeline.forward(views).probabilities, top_k)
                bar.advance(len(batch))
        return predictions[0] if single else predictions

    def predict_batch(self, images: Sequence[Image], views: str = "one") -> BatchPrediction:
        """Return all outputs for one batch of images: at least one, at most what fits in memory.

        `views` is `one`, `flip` or `five_crops`.

        Raises:
            UserError: unknown `views`, or an image that cannot be read.
        """
        pipeline = self.pipeline(views)
        return pipeline.forward([self._read(pipeline, _reference(image, self.decoding.white)) for image in images])

    def pipeline(self, views: str = "one", batch_size: int | None = None) -> Pipeline:
        """Return the path from images to outputs; `batch_size` views at once, by default as the settings say.

        Raises:
            UserError: unknown `views`.
        """
        runner = self.runner if batch_size is None else replace(self.runner, batch_size=batch_size)
        return Pipeline(self.mixture, runner, views)

    def _read(self, pipeline: Pipeline, reference: ImageReference) -> ImageViews:
        found = pipeline.read(reference, replace(self.decoding, largest_megapixels=math.inf))
        if isinstance(found, str):
            raise UserError(f"{_described(reference)} {found}: fix or remove it.")
        return found

    def _best(self, probabilities: torch.Tensor, top_k: int) -> list[list[Prediction]]:
        best = probabilities.topk(min(top_k, len(self.class_names)), dim=-1)  # (B, k)
        return [
            [Prediction(self.class_names[c], p) for c, p in zip(classes, found, strict=True)]
            for classes, found in zip(best.indices.tolist(), best.values.tolist(), strict=True)
        ]


def load(run: str | Path, device: str = "auto") -> Model:
    """Return the trained model of a run folder, an exported folder, or hf://owner/name.

    Raises:
        UserError: there is no finished run, or the backbones differ from those it was trained on.
    """
    settings, checkpoint = finished_run(run)
    class_names = checkpoint.manifest["class_names"]
    mixture = build_mixture(settings, len(class_names), checkpoint.manifest.get("revisions"), texts=False)
    check_backbones(checkpoint.manifest, mixture, Path(run))
    load_tuned(mixture, checkpoint)
    accelerator = make_accelerator(device, settings.precision)
    runner = Runner(accelerator.device, accelerator.autocast, settings.evaluation.batch_size, settings.workers)
    counts = np.array(checkpoint.manifest["counts"], dtype=np.int64)
    place(mixture, accelerator, settings.tower_precision)
    return Model(mixture.requires_grad_(False), class_names, counts, settings, runner)


def _is_one(images: Image | Sequence[Image]) -> bool:
    return isinstance(images, str | bytes) or not isinstance(images, Sequence)


def _described(reference: ImageReference) -> str:
    return "The array" if isinstance(reference, np.ndarray) else f"Image {reference}"


def _reference(image: Image, white: float | None) -> ImageReference:
    if isinstance(image, PIL.Image.Image):
        return np.asarray(of_pillow(image, white))
    if isinstance(image, np.ndarray | bytes):
        reference = EncodedImage(image, "given as bytes") if isinstance(image, bytes) else image
        if (reason := unreadable_reason(reference, UNLIMITED)) is not None:
            raise UserError(f"{_described(reference)} {reason}.")
        return reference
    if not isinstance(image, str | Path):
        raise UserError(
            f"An image must be a path, a Pillow image, bytes or a uint8 array (H, W, 3), not {type(image).__name__}."
        )
    path = Path(image)
    if not path.is_file():
        reason = "is a folder: pass its files" if path.is_dir() else "does not exist: check the path"
        raise UserError(f"Image {path} {reason}.")
    return path
