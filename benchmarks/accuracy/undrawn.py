"""Copy a folder data set so that its train/ is the draw of a preset and its val/ the images that are not drawn.

    python -m benchmarks.accuracy.undrawn grocery_lt --root grocery --out grocery_ablation

A preset with an imbalance factor leaves most images of the rare classes out. They make a validation split that shows
these classes, which a share of the drawn images cannot.
"""

import argparse
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np

from lptpp.config import load_settings
from lptpp.data.dataset import ImageDataset, Split
from lptpp.data.prepare import load_dataset, load_whole


def undrawn(drawn: ImageDataset, whole: ImageDataset) -> ImageDataset:
    """Return the drawn data set with the other training images of the whole one as its validation split."""
    taken = {str(image) for image in drawn.train.images}
    rest = [place for place, image in enumerate(whole.train.images) if str(image) not in taken]
    return replace(drawn, validation=whole.train.subset(np.array(rest, dtype=np.int64)))


def copy(split: Split, class_names: list[str], folder: Path) -> None:
    """Copy the images of a split into one folder per class."""
    for image, label in zip(split.images, split.labels, strict=True):
        target = folder / class_names[label]
        target.mkdir(parents=True, exist_ok=True)
        shutil.copy(str(image), target)


def main() -> None:
    """Copy the three splits."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("preset", help="a preset of a folder data set with data.factor")
    made.add_argument("--root", required=True, help="folder of the images")
    made.add_argument("--out", type=Path, required=True, help="folder to write")
    arguments = made.parse_args()
    settings = load_settings(arguments.preset, [f"data.root={arguments.root}"])
    dataset = undrawn(load_dataset(settings), load_whole(settings))
    for name, split in dataset.splits().items():
        folder = arguments.out / {"validation": "val"}.get(name, name)
        copy(split, dataset.class_names, folder)
        print(f"{folder}: {len(split)} images")


if __name__ == "__main__":
    main()
