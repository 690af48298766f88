"""Pictures of the run to try the page with: some of each shot, of different classes, from the evaluated part."""

from pathlib import Path

import numpy as np
from PIL import Image

from lptpp.app.predictions import Asked
from lptpp.data.dataset import Collection
from lptpp.data.decode import examine
from lptpp.data.statistics import shots
from lptpp.inference.model import Model
from lptpp.report.style import SHOTS
from lptpp.report.thumbnails import LONGEST
from lptpp.utils.random import generator

OF_EACH_SHOT = 3
Example = tuple[Asked, Image.Image]  # with a small copy


def examples(model: Model, collection: Collection) -> list[Example]:
    """Return up to nine pictures that can be read, the same each time; none where there is no evaluated part."""
    split = collection.parts().get(model.settings.evaluation.split)
    if split is None:
        return []
    low, high = model.settings.evaluation.shot_thresholds
    kinds = shots(model.counts, (low, high))[split.labels]  # (n,)
    order = generator(model.settings.seed, "examples").permutation(len(split))
    first = order[np.sort(np.unique(split.labels[order], return_index=True)[1])]  # of each class, in drawn order
    chosen: list[Example] = []
    for shot in SHOTS:
        chosen += _readable(model, collection, first[kinds[first] == shot])
    return chosen


def _readable(model: Model, collection: Collection, places: np.ndarray) -> list[Example]:
    """Return the first of the pictures at these places of the evaluated part that can be read."""
    split, found = collection.parts()[model.settings.evaluation.split], []
    for place in places:
        picture = examine(split.images[place], model.settings.data.largest_megapixels)
        if not isinstance(picture, str):
            picture.thumbnail((LONGEST, LONGEST))
            label = collection.class_names[split.labels[place]]
            found.append((Asked(Path(split.name(place)).name, split.images[place], label), picture))
        if len(found) == OF_EACH_SHOT:
            break
    return found
