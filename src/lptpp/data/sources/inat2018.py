"""iNaturalist 2018: the published JSON lists (images, annotations, categories)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lptpp.data.dataset import ImageDataset, ImageReference, Split
from lptpp.data.sources.files import read_json, refuse_all_missing
from lptpp.utils.errors import UserError
from lptpp.utils.paths import resolve_path


def inat2018(root: str, train_list: str | None, test_list: str | None) -> ImageDataset:
    """Return iNaturalist 2018 below `root`; as in the papers, its validation list is the test split.

    The lists default to train2018.json and val2018.json in `root`. Class names come from categories.json in `root` if
    it exists (the species names), else from the training list. Labels are the ranks of the category ids.

    Raises:
        UserError: a list is missing or lacks a field, a category is unknown, or no listed image exists.
    """
    folder = Path(root).expanduser()
    train_file = resolve_path(train_list or "train2018.json", folder)
    test_file = resolve_path(test_list or "val2018.json", folder)
    train, test = (read_json(file, "an iNaturalist 2018 list (JSON)") for file in (train_file, test_file))
    names = _category_names(folder, train, train_file)
    labels = {category: label for label, category in enumerate(names)}
    return ImageDataset(
        list(names.values()),
        _split(train, train_file, folder, labels),
        None,
        _split(test, test_file, folder, labels),
    )


def _category_names(folder: Path, train: Any, train_file: Path) -> dict[int, str]:
    """Return the category names by id, in ascending order of the ids."""
    file = folder / "categories.json"
    categories = read_json(file, "the category names") if file.is_file() else _field(train, "categories", train_file)
    source = file if file.is_file() else train_file
    pairs = [(_field(category, "id", source), str(_field(category, "name", source))) for category in categories]
    return dict(sorted(pairs))


def _split(listing: Any, file: Path, folder: Path, labels: Mapping[int, int]) -> Split:
    category = {
        _field(row, "image_id", file): _field(row, "category_id", file) for row in _field(listing, "annotations", file)
    }
    images = {_field(row, "id", file): _field(row, "file_name", file) for row in _field(listing, "images", file)}
    _check(images, category, labels, file)
    refuse_all_missing((f"{file} image {number}", folder / name) for number, name in images.items())
    references: list[ImageReference] = [folder / name for name in images.values()]
    return Split(references, np.array([labels[category[number]] for number in images], np.int64))


def _check(images: Mapping[int, str], category: Mapping[int, int], labels: Mapping[int, int], file: Path) -> None:
    for number in images:
        if number not in category:
            raise UserError(f"{file} has no annotation for image {number}: expected one for every image.")
        if category[number] not in labels:
            raise UserError(
                f"{file}: image {number} has the unknown category {category[number]}; "
                "use lists and categories.json of the same edition."
            )


def _field(row: Any, name: str, file: Path) -> Any:
    if not isinstance(row, dict) or name not in row:
        raise UserError(f"{file} lacks the field {name!r}: expected an iNaturalist 2018 list (COCO-style JSON).")
    return row[name]
