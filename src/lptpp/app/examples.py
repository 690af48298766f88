"""Example images from the evaluated split: one of each class or, of many classes, a few per shot and any by name."""

from collections.abc import Iterable
from pathlib import Path

from PIL import Image

from lptpp.app.predictions import ImageInput
from lptpp.data.dataset import ImageDataset
from lptpp.data.decode import try_decode
from lptpp.data.statistics import SHOTS, shots
from lptpp.inference.model import Model
from lptpp.report.thumbnails import LONGEST
from lptpp.utils.random import generator

MOST = 100  # classes that are all shown; of more, PER_SHOT of each shot group are, the others by name
PER_SHOT = 3
ExampleImage = tuple[ImageInput, Image.Image]  # with a thumbnail


class Examples:
    """The readable images of the evaluated split, in a drawn order that is the same each time."""

    def __init__(self, model: Model, collection: ImageDataset) -> None:
        self.model = model
        self.names = collection.class_names
        self.split = collection.splits().get(model.settings.evaluation.split)
        self.indices: dict[int, list[int]] = {}  # of the images, by class
        if self.split is not None:
            for index in generator(model.settings.seed, "examples").permutation(len(self.split)).tolist():
                self.indices.setdefault(int(self.split.labels[index]), []).append(index)

    @property
    def classes(self) -> list[str]:
        """The names of the classes that have images, largest class first."""
        return [self.names[label] for label in self._labels()]

    def shown(self) -> list[ExampleImage]:
        """Return an example of every class, largest class first; of more than `MOST`, a few of each shot group."""
        labels = self._labels()
        if len(labels) <= MOST:
            return self._of(labels, len(labels))
        kinds = shots(self.model.counts, self.model.settings.evaluation.shot_thresholds)
        drawn = list(self.indices)  # in the order of their first image
        by_shot = [self._of([label for label in drawn if kinds[label] == shot], PER_SHOT) for shot in SHOTS]
        return [example for of_shot in by_shot for example in of_shot]

    def of_class(self, name: str) -> ExampleImage | None:
        """Return a readable image of a class, or None."""
        assert self.split is not None
        for index in self.indices[self.names.index(name)]:
            image = try_decode(self.split.images[index], self.model.decoding)
            if not isinstance(image, str):
                image.thumbnail((LONGEST, LONGEST))
                return ImageInput(Path(self.split.name(index)).name, self.split.images[index], name), image
        return None

    def _labels(self) -> list[int]:
        return sorted(self.indices, key=lambda label: (-self.model.counts[label], label))

    def _of(self, labels: Iterable[int], most: int) -> list[ExampleImage]:
        """Return the examples of the first `most` classes that have a readable image."""
        found: list[ExampleImage] = []
        for label in labels:
            if len(found) == most:
                break
            if (example := self.of_class(self.names[label])) is not None:
                found.append(example)
        return found
