"""Example images of the run: a few per shot group, each of another class, from the evaluated split."""

from pathlib import Path

import numpy as np
from PIL import Image

from lptpp.app.predictions import ImageInput
from lptpp.data.dataset import ImageDataset
from lptpp.data.decode import try_decode
from lptpp.data.statistics import SHOTS, shots
from lptpp.inference.model import Model
from lptpp.report.thumbnails import LONGEST
from lptpp.utils.random import generator

PER_SHOT = 3
ExampleImage = tuple[ImageInput, Image.Image]  # with a thumbnail


def examples(model: Model, collection: ImageDataset) -> list[ExampleImage]:
    """Return up to nine readable images, the same each time; none if there is no evaluated split."""
    split = collection.splits().get(model.settings.evaluation.split)
    if split is None:
        return []
    kinds = shots(model.counts, model.settings.evaluation.shot_thresholds)[split.labels]  # (n,)
    order = generator(model.settings.seed, "examples").permutation(len(split))
    first = order[np.sort(np.unique(split.labels[order], return_index=True)[1])]  # one image per class, in drawn order
    found: list[ExampleImage] = []
    for shot in SHOTS:
        found += _readable(model, collection, first[kinds[first] == shot])
    return found


def _readable(model: Model, collection: ImageDataset, indices: np.ndarray) -> list[ExampleImage]:
    """Return the first readable images among these indices of the evaluated split."""
    split, found = collection.splits()[model.settings.evaluation.split], []
    for index in indices:
        image = try_decode(split.images[index], model.decoding)
        if not isinstance(image, str):
            image.thumbnail((LONGEST, LONGEST))
            label = collection.class_names[split.labels[index]]
            found.append((ImageInput(Path(split.name(index)).name, split.images[index], label), image))
        if len(found) == PER_SHOT:
            break
    return found
