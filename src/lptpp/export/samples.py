"""Sample images and PyTorch's predictions for them, against which every exported file is checked."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

import numpy as np
import torch
from torchvision.transforms import v2

from lptpp.config import Settings
from lptpp.data.dataset import ImageReference
from lptpp.data.decode import decode, pixels, unreadable_reason
from lptpp.data.prepare import decoding, load_dataset
from lptpp.data.transforms import resize_and_crop
from lptpp.export.programs import RESULT, Program
from lptpp.inference.pipeline import Pipeline
from lptpp.inference.runtime import Runner
from lptpp.models.mixture import Mixture
from lptpp.utils.errors import UserError

BATCHES = (1, 3)
TOLERANCE = 1e-4

Runtime = Callable[[Sequence[torch.Tensor]], Sequence[np.ndarray]]  # inputs to outputs, both in order


@dataclass(frozen=True)
class Samples:
    """Three images as each expert takes them, and the expected outputs."""

    images: dict[str, torch.Tensor]  # by expert, uint8 (3, 3, H, W)
    expected: dict[str, list[np.ndarray]]  # outputs by program


def samples(mixture: Mixture, references: Iterable[ImageReference]) -> Samples:
    """Return three images, repeated if there are fewer, and the predictions of the mixture in float32."""
    found = list(islice(cycle([decode(reference) for reference in references]), max(BATCHES)))
    preprocessing = {name: expert.backbone.preprocessing for name, expert in mixture.experts.items()}
    crop = {name: v2.Compose(resize_and_crop(wanted)) for name, wanted in preprocessing.items()}
    pipeline = Pipeline(mixture, Runner(torch.device("cpu")))  # float32
    prediction = pipeline.forward([pipeline.view(image) for image in found])
    expected = {f"expert-{name}": [probabilities.numpy()] for name, probabilities in prediction.experts.items()}
    expected[RESULT] = [prediction.probabilities.numpy(), prediction.weights.numpy()]
    images = {name: torch.stack([transform(pixels(image)) for image in found]) for name, transform in crop.items()}
    return Samples(images, expected)


def largest_difference(program: Program, run: Runtime, expected: Samples) -> float:
    """Return the largest absolute difference between the outputs of `run` and PyTorch's, for one and three images.

    Raises:
        UserError: it is above 1e-4.
    """
    differences = [
        np.abs(output - wanted[:size]).max()
        for size in BATCHES
        for output, wanted in zip(
            run([views[:size] for views in program.given(expected.images)]),
            expected.expected[program.name],
            strict=True,
        )
    ]
    difference = float(np.max(differences))  # nan if any is
    if not difference <= TOLERANCE:
        raise UserError(
            f"The exported {program.name} differs from PyTorch by {difference:.2g}, more than {TOLERANCE:g}; nothing"
            " was written. Try other versions of torch and onnxruntime, and report the backbone."
        )
    return difference


def summary_line(path: Path, difference: float) -> str:
    """Return the line printed for a file that passed the check."""
    return f"{path.name}: differs from PyTorch by at most {difference:.1g} ({max(BATCHES)} images, batch sizes 1 and 3)"


def sample_images(settings: Settings, given: Sequence[Path]) -> Sequence[ImageReference]:
    """Return up to three readable images: the given ones, or some of the evaluated split of the run.

    Raises:
        UserError: a given image is unreadable, or the images of the run are missing.
    """
    for path in given:
        if (reason := unreadable_reason(path)) is not None:
            raise UserError(f"--image: {path} {reason}; choose another image.")
    found = list(islice(given or _own(settings), max(BATCHES)))
    if not found:
        raise UserError("No image of the run's data set is readable; provide sample images with --image.")
    return found


def _own(settings: Settings) -> Iterable[ImageReference]:
    try:
        collection = load_dataset(settings)
    except UserError as error:
        raise UserError(
            f"The export is checked on sample images; provide some with --image, because the data set failed to load:"
            f" {error}"
        ) from error
    images = collection.splits().get(settings.evaluation.split, collection.train).images
    how = decoding(settings)
    step = max(len(images) // max(BATCHES), 1)
    spread = [image for start in range(step) for image in images[start::step]]
    return (image for image in spread if unreadable_reason(image, how) is None)
