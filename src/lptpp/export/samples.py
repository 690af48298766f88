"""Real pictures, and what the trained mixture says of them: an exported file must say the same."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

import numpy as np
import torch
from torchvision.transforms import v2

from lptpp.config import Settings
from lptpp.data.cache import pixels
from lptpp.data.dataset import ImageReference
from lptpp.data.decode import decode, problem
from lptpp.data.prepare import collection_of
from lptpp.data.transforms import center, evaluation_transform
from lptpp.export.programs import RESULT, Program
from lptpp.inference.outputs import predict_batch
from lptpp.models.mixture import Mixture
from lptpp.utils.errors import UserError

BATCHES = (1, 3)
TOLERANCE = 1e-4

Run = Callable[[Sequence[torch.Tensor]], Sequence[np.ndarray]]  # inputs to outputs, both in order


@dataclass(frozen=True)
class Samples:
    """Pictures as each expert takes them, and the truth about them."""

    pictures: dict[str, torch.Tensor]  # by expert, uint8 (3, 3, H, W): three pictures
    expected: dict[str, list[np.ndarray]]  # outputs by program


def samples(mixture: Mixture, images: Iterable[ImageReference]) -> Samples:
    """Return three pictures, some again where there are fewer, and what the mixture says of them in float32."""
    found = list(islice(cycle([pixels(decode(image)) for image in images]), max(BATCHES)))
    preprocessing = {name: expert.backbone.preprocessing for name, expert in mixture.experts.items()}
    cut = {name: v2.Compose(center(wanted)) for name, wanted in preprocessing.items()}
    look = {name: evaluation_transform(wanted) for name, wanted in preprocessing.items()}
    with torch.no_grad():
        expert_outputs = mixture.forward_experts(
            {name: torch.stack([see(picture) for picture in found]) for name, see in look.items()}
        )
    truth = predict_batch(mixture, expert_outputs)
    expected = {f"expert-{name}": [probabilities.numpy()] for name, probabilities in truth.experts.items()}
    expected[RESULT] = [truth.probabilities.numpy(), truth.weights.numpy()]
    return Samples({name: torch.stack([see(picture) for picture in found]) for name, see in cut.items()}, expected)


def largest_difference(program: Program, run: Run, truth: Samples) -> float:
    """Return by how much what `run` says of one picture and of three differs from the truth, at most.

    Raises `UserError` above 1e-4.
    """
    differences = [
        np.abs(output - expected[:size]).max()
        for size in BATCHES
        for output, expected in zip(
            run([views[:size] for views in program.given(truth.pictures)]), truth.expected[program.name], strict=True
        )
    ]
    difference = float(np.max(differences))  # nan where any is
    if not difference <= TOLERANCE:
        raise UserError(
            f"{program.name}, exported, differs from PyTorch by {difference:.2g}, more than {TOLERANCE:g}: nothing"
            " was written; try other versions of torch and onnxruntime, and report the backbone."
        )
    return difference


def message(path: Path, difference: float) -> str:
    """Return a line about a file that has passed."""
    return f"{path.name}: at most {difference:.1g} from PyTorch, on {max(BATCHES)} pictures one by one and together"


def sample_images(settings: Settings, given: Sequence[Path]) -> Sequence[ImageReference]:
    """Return up to three readable pictures: the given ones, or some of the run's own.

    Raises `UserError` where a given one cannot be read, or where the run's own are not there.
    """
    for path in given:
        if (reason := problem(path)) is not None:
            raise UserError(f"{path} {reason}: give another picture.")
    found = list(islice(given or _own(settings), max(BATCHES)))
    if not found:
        raise UserError("None of the run's own pictures can be read: give some with --picture.")
    return found


def _own(settings: Settings) -> Iterable[ImageReference]:
    try:
        collection = collection_of(settings)
    except UserError as error:
        raise UserError(f"The export is checked on pictures, give some with --picture, for: {error}") from error
    images = collection.parts().get(settings.evaluation.split, collection.train).images
    largest = settings.data.largest_megapixels
    step = max(len(images) // max(BATCHES), 1)
    spread = [image for start in range(step) for image in images[start::step]]
    return (image for image in spread if problem(image, largest) is None)
