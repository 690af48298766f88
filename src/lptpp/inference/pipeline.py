"""From images to predictions: the one path that evaluate, predict, the app and export take.

    image -> RGB pixels -> evaluation views of each expert -> expert outputs -> mixture output

Images are read and transformed in threads, one batch ahead of the model. Shapes: B images, V views of each, E experts,
C classes, F the width of an expert's features.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from itertools import islice
from pathlib import Path
from stat import S_ISREG
from typing import NamedTuple, TypeVar

import PIL.Image
import torch
import torch.nn.functional as F

from lptpp.data.cache import ImageCache
from lptpp.data.dataset import ImageReference
from lptpp.data.decode import UNLIMITED, Decoding, pixels, try_decode
from lptpp.data.loader import ViewBatch
from lptpp.inference.runtime import Runner
from lptpp.inference.views import VIEWS, ManyViews, view_transforms
from lptpp.models.expert import Expert, ExpertOutput
from lptpp.models.mixture import Mixture
from lptpp.utils import exchange, processes
from lptpp.utils.progress import progress_bar
from lptpp.utils.threads import reading_threads

Item = TypeVar("Item")
Result = TypeVar("Result")
ImageViews = dict[str, torch.Tensor]  # the views of one image by expert: float32 (V, 3, height, width)


class BatchPrediction(NamedTuple):
    """The outputs for B images, in float32 on the CPU: those of the first view, except `of_views`."""

    probabilities: torch.Tensor  # (B, C) of the mixture; rows sum to 1
    experts: dict[str, torch.Tensor]  # (B, C) of each expert alone
    weights: torch.Tensor  # (B, E) scorer weights
    groups: dict[str, torch.Tensor]  # (B, k) the prompt groups each image uses, best match first, by expert with groups
    features: dict[str, torch.Tensor]  # (B, F) of each expert, unit length
    of_views: torch.Tensor  # (B, V, C) mixture probabilities of each view


class Pipeline:
    """The path from images to the outputs of a mixture, in V evaluation views of each image (`VIEWS`).

    Raises:
        UserError: unknown `views`.
    """

    def __init__(self, mixture: Mixture, runner: Runner, views: str = "one") -> None:
        self.mixture = mixture.to(runner.device)
        self.runner = runner
        self.transforms = view_transforms(mixture, views)
        self.number = VIEWS[views].number  # V
        self.batch_size = max(1, runner.batch_size // self.number)  # images

    def view(self, image: PIL.Image.Image) -> ImageViews:
        """Return the views of an RGB image."""
        return _views(pixels(image), self.transforms)

    def read(self, reference: ImageReference, decoding: Decoding = UNLIMITED) -> ImageViews | str:
        """Return the views of a file or an array, or the reason why there are none."""
        if isinstance(reference, Path) and _is_special(reference):
            return "is not a file: pass the files of a folder, not the folder"
        image = try_decode(reference, decoding)
        if isinstance(image, str):
            return image
        try:
            return self.view(image)
        except (MemoryError, RuntimeError) as error:  # an image a thousand times as wide as high
            return f"cannot be resized: {str(error).splitlines()[0]}"

    def forward(self, images: Sequence[ImageViews]) -> BatchPrediction:
        """Return the outputs for B >= 1 images."""
        with torch.no_grad():
            return batch_prediction(self.mixture, self.runner.forward(self.mixture, _stacked(images)), self.number)

    def expert_outputs(
        self, cache: ImageCache, description: str, indices: Sequence[int] | None = None
    ) -> Iterator[tuple[dict[str, ExpertOutput], torch.Tensor, torch.Tensor]]:
        """Yield the expert outputs for B·V views, on the device, with labels (B,) and indices (B,), batch by batch.

        `indices` selects images of the split; all by default. The processes of a run share the batches.
        """
        chosen = processes.own_rows(range(len(cache)) if indices is None else indices, self.batch_size)
        with progress_bar(description, len(chosen), unit="images") as bar:
            batches = split_batches(cache, self.transforms, self.batch_size, chosen)
            for outputs, labels, batch in self.runner.expert_outputs(self.mixture, batches):
                yield outputs, labels, batch
                bar.advance(len(labels))

    def predictions(self, cache: ImageCache, description: str) -> Iterator[tuple[BatchPrediction, torch.Tensor]]:
        """Yield the outputs for the images of a split and their labels (B,), batch by batch, as `expert_outputs`."""
        for outputs, labels, _ in self.expert_outputs(cache, description):
            yield batch_prediction(self.mixture, outputs, self.number), labels


@torch.no_grad()
def batch_prediction(mixture: Mixture, outputs: Mapping[str, ExpertOutput], number: int = 1) -> BatchPrediction:
    """Return the mixture's outputs from its experts' outputs for B·V views, the V = `number` of an image together."""
    confidences = mixture.confidences(outputs)  # (B·V, E, C)
    mixed = mixture.combine([one.feature for one in outputs.values()], confidences)

    def first(rows: torch.Tensor) -> torch.Tensor:
        return rows[::number].cpu()

    return BatchPrediction(
        probabilities=first(mixed.probabilities),
        experts={name: first(confidences[:, place]) for place, name in enumerate(outputs)},
        weights=first(mixed.weights),
        groups={name: first(groups) for name, groups in selected_groups(outputs).items()},
        features={name: F.normalize(first(one.feature).float(), dim=-1) for name, one in outputs.items()},
        of_views=mixed.probabilities.unflatten(0, (-1, number)).cpu(),
    )


def selected_groups(outputs: Mapping[str, ExpertOutput]) -> dict[str, torch.Tensor]:
    """Return the prompt groups (B, k) that each image uses, best match first, by expert with group prompts."""
    return {name: one.groups for name, one in outputs.items() if one.groups is not None}


def frozen_features(
    expert: Expert, cache: ImageCache, runner: Runner, description: str
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the features (n, F) of an expert's pretrained backbone, nothing added, and the labels (n,)."""
    frozen = expert.encoder.frozen().to(runner.device)
    return features_of(frozen.query_feature, expert, cache, runner, description)


@torch.no_grad()
def features_of(
    compute: Callable[[torch.Tensor], torch.Tensor],
    expert: Expert,
    cache: ImageCache,
    runner: Runner,
    description: str,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return what `compute` returns for the evaluation views of an expert, (n, F) on the CPU, and the labels (n,)."""
    transforms = {"plain": VIEWS["one"].transform(expert.backbone.preprocessing)}
    rows = processes.own_rows(range(len(cache)), runner.batch_size)
    own = _features(compute, split_batches(cache, transforms, runner.batch_size, rows), runner, description, len(rows))
    found = list(exchange.in_order(own))
    return torch.cat([part["features"] for part in found]), torch.cat([part["labels"] for part in found])


def _features(
    compute: Callable[[torch.Tensor], torch.Tensor],
    batches: Iterable[ViewBatch],
    runner: Runner,
    description: str,
    total: int,
) -> Iterator[dict[str, torch.Tensor]]:
    """Yield features (B, F) and labels (B,), batch by batch."""
    with progress_bar(description, total, unit="images") as bar:
        for views, labels, _ in batches:
            runner.before_batch()
            with torch.no_grad(), runner.autocast():
                features = compute(runner.on_device(views["plain"])).float().cpu()
            yield {"features": features, "labels": labels}
            bar.advance(len(labels))


def split_batches(
    cache: ImageCache, transforms: Mapping[str, ManyViews], size: int, indices: Sequence[int]
) -> Iterator[ViewBatch]:
    """Yield views by name (B·V, 3, height, width), labels (B,) and indices (B,) for `size` images of a split at a time.

    Raises:
        UserError: an image can no longer be read.
    """

    def read(index: int) -> ImageViews:
        return _views(cache.load(index), transforms)

    for chunk, images in read_ahead(chunks(indices, size), read):
        yield _stacked(images), torch.from_numpy(cache.split.labels[chunk]), torch.tensor(chunk)


def chunks(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Yield lists of `size` items; the last may be shorter."""
    remaining = iter(items)
    while chunk := list(islice(remaining, size)):
        yield chunk


def read_ahead(
    chunks: Iterable[list[Item]], read: Callable[[Item], Result]
) -> Iterator[tuple[list[Item], list[Result]]]:
    """Yield each chunk with the result of `read` for each of its items; threads read the next chunk meanwhile."""
    waiting: list[tuple[list[Item], list[Future[Result]]]] = []
    with reading_threads() as threads:
        for chunk in chunks:
            waiting.append((chunk, [threads.submit(read, item) for item in chunk]))
            if len(waiting) == 2:
                yield _finished(*waiting.pop(0))
        for chunk, futures in waiting:
            yield _finished(chunk, futures)


def _finished(chunk: list[Item], futures: list[Future[Result]]) -> tuple[list[Item], list[Result]]:
    return chunk, [future.result() for future in futures]


def _views(image: torch.Tensor, transforms: Mapping[str, ManyViews]) -> ImageViews:
    return {name: transform(image) for name, transform in transforms.items()}  # of uint8 (3, H, W)


def _stacked(images: Sequence[ImageViews]) -> dict[str, torch.Tensor]:
    return {name: torch.cat([views[name] for views in images]) for name in images[0]}  # (B·V, 3, height, width)


def _is_special(path: Path) -> bool:
    """Return whether a path leads to a folder, a pipe or a device: reading those fails or never ends."""
    try:
        return not S_ISREG(path.stat().st_mode)
    except (OSError, ValueError):  # a missing file, or a name that no file can have
        return False
