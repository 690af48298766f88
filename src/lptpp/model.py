"""A trained run, ready to predict."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

import numpy as np
import torch

from lptpp.build import build_mixture
from lptpp.config import Settings, saved_settings
from lptpp.data.collection import ImageReference, Split
from lptpp.data.images import problem
from lptpp.data.pictures import Pictures
from lptpp.errors import UserError
from lptpp.mixture import Mixture
from lptpp.outputs import Runner, each_once, evaluation_views
from lptpp.training.checkpoint import Checkpoint, latest_checkpoint
from lptpp.training.device import make_accelerator
from lptpp.training.recorder import check_backbones
from lptpp.training.state import load_tuned

Image = str | Path | np.ndarray


@dataclass(frozen=True)
class Prediction:
    """One class and its probability."""

    label: str
    probability: float


class Model:
    """A trained mixture with its class names."""

    def __init__(self, mixture: Mixture, class_names: list[str], settings: Settings, runner: Runner) -> None:
        self.mixture = mixture
        self.class_names = class_names
        self.settings = settings
        self.runner = runner

    @overload
    def predict(self, images: Image, top_k: int = ...) -> list[Prediction]: ...
    @overload
    def predict(self, images: list[Any], top_k: int = ...) -> list[list[Prediction]]: ...

    def predict(self, images: Image | list[Any], top_k: int = 1) -> list[Prediction] | list[list[Prediction]]:
        """Return the `top_k` best classes of one image, or a list of them for each of many, best first.

        An image is a path or a uint8 array (H, W, 3). Raises `UserError` for one that cannot be read.
        """
        single = not isinstance(images, list | tuple)
        chosen: Sequence[Image] = [images] if single else images  # type: ignore[list-item, assignment]
        if not chosen:
            return []
        found = self.rank([_reference(image) for image in chosen], top_k)
        predictions = [
            [Prediction(self.class_names[c], p) for c, p in zip(classes.tolist(), probabilities.tolist(), strict=True)]
            for classes, probabilities in zip(*found, strict=True)
        ]
        return predictions[0] if single else predictions

    @torch.no_grad()
    def rank(self, images: Sequence[ImageReference], top_k: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the best classes (n, k) and their probabilities (n, k), best first."""
        if top_k < 1:
            raise UserError(f"top_k={top_k}: expected 1 or more.")
        pictures = Pictures(Split(list(images), np.zeros(len(images), dtype=np.int64)), memory_bytes=0)
        views, draws = evaluation_views(self.mixture, pictures), each_once(pictures)
        classes, probabilities = [], []
        for said, _, _ in self.runner.judgements(self.mixture, views, draws, "Predicting"):
            features = [judgement.feature for judgement in said.values()]
            opinion = self.mixture.combine(features, self.mixture.confidences(said))
            best = opinion.probabilities.topk(min(top_k, len(self.class_names)), dim=-1)
            classes.append(best.indices.cpu())
            probabilities.append(best.values.cpu())
        return torch.cat(classes), torch.cat(probabilities)


def load(run: str | Path, device: str = "auto") -> Model:
    """Return the trained model of a run folder.

    Raises `UserError` where the folder holds no finished run, or where its backbones are not those it was tuned on.
    """
    settings, checkpoint = finished_run(run)
    class_names = checkpoint.manifest["class_names"]
    mixture = build_mixture(settings, len(class_names))
    check_backbones(checkpoint.manifest, mixture, Path(run))
    load_tuned(mixture, checkpoint)
    accelerator = make_accelerator(device, settings.precision)
    runner = Runner(accelerator.device, accelerator.autocast, settings.evaluation.batch_size, settings.workers)
    return Model(mixture.requires_grad_(False), class_names, settings, runner)


def finished_run(run: str | Path) -> tuple[Settings, Checkpoint]:
    """Return the settings and the last checkpoint of a run; `UserError` unless its training is finished."""
    folder = Path(run)
    checkpoint = latest_checkpoint(folder / "checkpoint")
    if checkpoint is None:
        raise UserError(
            f"{folder} holds no trained run: expected a run folder that `lptpp fit` made, for example runs/emoji."
        )
    if not checkpoint.manifest["finished"]:
        stage = checkpoint.manifest["position"]["stage"]
        raise UserError(f"The run in {folder} is not finished (it stands in {stage}): go on with `lptpp fit {folder}`.")
    return run_settings(folder), checkpoint


def run_settings(folder: Path, overrides: Sequence[str] = ()) -> Settings:
    """Return the settings a run folder was made with, at its present place."""
    path = folder / "config.yaml"
    if not path.is_file():
        raise UserError(f"{folder} holds no config.yaml: it is not a run folder that `lptpp fit` made.")
    return saved_settings(path, [*overrides, f"run={folder}"])


def _reference(image: Image) -> ImageReference:
    if isinstance(image, np.ndarray):
        if (reason := problem(image)) is not None:
            raise UserError(f"An image {reason}.")
        return image
    if not isinstance(image, str | Path):
        kind = type(image).__name__
        raise UserError(
            f"An image is a path or a uint8 array (H, W, 3), not {kind}: for Pillow's give numpy.asarray(image)."
        )
    path = Path(image)
    if not path.is_file():
        problem_with_it = "is a folder: give its files" if path.is_dir() else "does not exist: check the path"
        raise UserError(f"Image {path} {problem_with_it}.")
    return path
