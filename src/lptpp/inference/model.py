"""A trained run, ready to predict."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

import numpy as np
import PIL.Image
import torch

from lptpp.checkpoint.identity import check_backbones
from lptpp.checkpoint.sharing import shared_folder, shared_run
from lptpp.checkpoint.store import Checkpoint, latest_checkpoint, load_tuned
from lptpp.config import Settings, saved_settings
from lptpp.data.cache import pixels
from lptpp.data.decode import examine, problem
from lptpp.inference.outputs import BatchPrediction, predict_batch
from lptpp.inference.runtime import Runner, make_accelerator
from lptpp.inference.views import VIEWS
from lptpp.models.build import build_mixture
from lptpp.models.mixture import Mixture
from lptpp.utils.errors import UserError, did_you_mean
from lptpp.utils.progress import progress_bar

Image = str | Path | np.ndarray
Seen = dict[str, torch.Tensor]  # one picture as each expert sees it, by name: V views, (V, 3, height, width)


@dataclass(frozen=True)
class Prediction:
    """One class and its probability."""

    label: str
    probability: float


class Model:
    """A trained mixture with its class names and the training images of each class."""

    def __init__(
        self, mixture: Mixture, class_names: list[str], counts: np.ndarray, settings: Settings, runner: Runner
    ) -> None:
        self.mixture = mixture.to(runner.device)
        self.class_names = class_names
        self.counts = counts  # (C,)
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
        if top_k < 1:
            raise UserError(f"top_k={top_k}: expected 1 or more.")
        single = not isinstance(images, list | tuple)
        given: Sequence[Image] = [images] if single else images  # type: ignore[list-item, assignment]
        references = [_reference(image) for image in given]  # what is no image is told before any is judged
        predictions: list[list[Prediction]] = []
        with progress_bar("Predicting", len(references)) as bar:
            for start in range(0, len(references), self.runner.batch_size):
                batch = references[start : start + self.runner.batch_size]
                predictions += self._best(self.predict_batch(batch).probabilities, top_k)
                bar.advance(len(batch))
        return predictions[0] if single else predictions

    def predict_batch(self, images: Sequence[Image], views: str = "one") -> BatchPrediction:
        """Return all that is said of one batch of B images; B is at least 1 and at most what memory holds.

        `views` is `one`, `flip` or `five_crops`. Raises `UserError` for an image that cannot be read.
        """
        look = self.looking(views)
        return self.forward([look(_picture(image)) for image in images])

    def looking(self, views: str = "one") -> Callable[[PIL.Image.Image], Seen]:
        """Return the function from an RGB picture to what `answer` takes: its views as each expert wants them.

        Raises `UserError` for views that there are not.
        """
        if views not in VIEWS:
            raise UserError(f"views={views}: {did_you_mean(views, VIEWS)}")
        transforms = {
            name: VIEWS[views].transform(expert.backbone.preprocessing) for name, expert in self.mixture.experts.items()
        }

        def look(picture: PIL.Image.Image) -> Seen:
            seen = pixels(picture)  # (3, H, W)
            return {name: transform(seen) for name, transform in transforms.items()}

        return look

    def forward(self, seen: Sequence[Seen]) -> BatchPrediction:
        """Return all that is said of one batch of B pictures, at least 1, as `looking` makes them."""
        views = {name: torch.cat([one[name] for one in seen]).to(self.runner.device) for name in seen[0]}
        with torch.no_grad(), self.runner.autocast():
            expert_outputs = self.mixture.forward_experts(views)  # of B·V views
        return predict_batch(self.mixture, expert_outputs, len(next(iter(seen[0].values()))))

    def _best(self, probabilities: torch.Tensor, top_k: int) -> list[list[Prediction]]:
        best = probabilities.topk(min(top_k, len(self.class_names)), dim=-1)  # (B, k)
        return [
            [Prediction(self.class_names[c], p) for c, p in zip(classes, found, strict=True)]
            for classes, found in zip(best.indices.tolist(), best.values.tolist(), strict=True)
        ]


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
    counts = np.array(checkpoint.manifest["counts"], dtype=np.int64)
    return Model(mixture.requires_grad_(False), class_names, counts, settings, runner)


def finished_run(run: str | Path) -> tuple[Settings, Checkpoint]:
    """Return the settings and the last checkpoint of a run; `UserError` unless its training is finished."""
    if (shared := shared_folder(run)) is not None:  # what `lptpp export --to huggingface` wrote, or hf://owner/name
        return shared_run(shared)
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


def _picture(image: Image) -> PIL.Image.Image:
    reference = _reference(image)
    found = examine(reference, largest_megapixels=float("inf"))
    if isinstance(found, str):
        raise UserError(f"{reference} {found}: mend it or leave it out.")
    return found


def _reference(image: Image) -> Path | np.ndarray:
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
