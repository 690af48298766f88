"""What a model sees of the images: their median size, the size of its input, and a picture of both."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from torchvision.transforms import v2

from lptpp.backbones.preprocessing import Preprocessing
from lptpp.data.dataset import ImageReference
from lptpp.data.decode import Decoding, image_size, pixels, try_decode
from lptpp.data.transforms import resize_and_crop
from lptpp.utils.text import listed, printable

Size = tuple[int, int]  # width, height
SAMPLED = 64  # images whose sizes are read if there are more
SHOWN = 6  # images in the picture
CELL, GAP, CAPTION = 160, 8, 30  # pixels
MUCH_LARGER = 1.4  # than the input: the next usual size fits into the image


def spread(images: Sequence[ImageReference], number: int) -> list[ImageReference]:
    """Return up to `number` images at equal distances."""
    places = np.linspace(0, len(images) - 1, min(number, len(images))).astype(int)
    return [images[place] for place in places]


def median_size(sizes: Iterable[Size | None]) -> Size | None:
    """Return the median width and the median height; None if none is known."""
    known = [size for size in sizes if size is not None]
    if not known:
        return None
    return round(statistics.median(w for w, _ in known)), round(statistics.median(h for _, h in known))


def sampled_size(images: Sequence[ImageReference]) -> Size | None:
    """Return the median size of up to `SAMPLED` of the images, whose headers are read."""
    return median_size(image_size(image) for image in spread(images, SAMPLED))


def sentences(preprocessings: Mapping[str, Preprocessing], median: Size) -> list[str]:
    """Return the median size of the images and, for each kind of input, what the experts see of such an image."""
    inputs: dict[str, list[str]] = {}
    for name, one in preprocessings.items():
        inputs.setdefault(_input(one, median), []).append(name)
    seen = [f"{'Experts' if len(names) > 1 else 'Expert'} {' and '.join(names)}" for names in inputs.values()]
    verbs = ["see" if len(names) > 1 else "sees" for names in inputs.values()]
    return [
        f"Images: {median[0]:,} × {median[1]:,} pixels (median).",
        *(f"{names} {verb} {text}." for names, verb, text in zip(seen, verbs, inputs, strict=True)),
        *_advice(preprocessings, median),
    ]


def _advice(preprocessings: Mapping[str, Preprocessing], median: Size) -> list[str]:
    """Return how to show more detail of images that are much larger than the input of every expert."""
    largest = max((max(one.size) for one in preprocessings.values()), default=0)
    if not largest or min(median) < MUCH_LARGER * largest:
        return []
    keys = " and ".join(f"experts.{name}.backbone.image_size" for name in preprocessings)
    return [f"A larger {keys} (now {largest}) shows more detail and takes more time."]


def _input(preprocessing: Preprocessing, median: Size) -> str:
    height, width = preprocessing.size
    how = [_geometry(preprocessing, median), "enlarged" if min(median) < min(width, height) else ""]
    shown = ", ".join(filter(None, how)) or "resized"
    return f"{width} × {height} pixels: {shown} (data.resize={preprocessing.resize})"


def _geometry(preprocessing: Preprocessing, median: Size) -> str:
    """Return what happens to the shape of the median image, empty if nothing does."""
    cut = 1 - cropped_share(preprocessing, median)
    if preprocessing.resize == "crop":
        return f"cropped to the center, which leaves out {cut:.0%}" if cut >= 0.005 else ""
    (height, width), (wide, high) = preprocessing.size, median
    done = {"squash": "squashed", "pad": "padded with the mean color"}[preprocessing.resize]
    return done if width * high != height * wide else ""


def cropped_share(preprocessing: Preprocessing, size: Size) -> float:
    """Return the share of an image's area that is left after resizing and cropping, in [0, 1]."""
    (height, width), (wide, high) = preprocessing.size, size
    if preprocessing.resize != "crop":
        return preprocessing.crop_share**2
    scale = max(height / high, width / wide) / preprocessing.crop_share
    return min(1.0, height / (scale * high)) * min(1.0, width / (scale * wide))


def strip(
    images: Sequence[ImageReference], preprocessings: Mapping[str, Preprocessing], how: Decoding
) -> Image.Image | None:
    """Return a picture of a few images: as they are in the first row, then as each kind of input; None without any.

    Captions have the name and the size of each file, and the experts and the size of each kind of input.
    """
    pairs = [(image, one) for image in spread(images, SHOWN) if isinstance(one := try_decode(image, how), Image.Image)]
    if not pairs:
        return None
    rows = [_Row([one for _, one in pairs], [_caption(image, one) for image, one in pairs])]
    for preprocessing, names in _distinct(preprocessings):
        height, width = preprocessing.size
        seen = [_seen(one, preprocessing) for _, one in pairs]
        rows.append(_Row(seen, [f"{listed(names)}\n{width} × {height} pixels"]))
    return _canvas(rows)


class _Row(NamedTuple):
    """Images side by side, with a text of two lines below each, or below the first ones."""

    images: Sequence[Image.Image]
    captions: Sequence[str]


def _caption(image: ImageReference, decoded: Image.Image) -> str:
    """Return the file name, if it has one, and the size of an image."""
    width, height = image_size(image) or decoded.size
    name = printable(image.name) if isinstance(image, Path) else ""
    return f"{_shortened(name)}\n{width:,} × {height:,} pixels"


@cache
def _font() -> ImageFont.FreeTypeFont:
    """Return a font with the signs of captions and of most names, which Pillow's own has not."""
    from matplotlib import get_data_path

    return ImageFont.truetype(str(Path(get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")), 10)


def _shortened(name: str) -> str:
    """Return a name that is at most as wide as an image, without its middle if necessary."""
    longest = len(name)
    shown = name
    while _font().getlength(shown) > CELL - 2:  # a letter may reach beyond its length
        longest -= 1
        shown = f"{name[: longest // 2]}…{name[-(longest // 2) :]}"
    return shown


def _distinct(preprocessings: Mapping[str, Preprocessing]) -> list[tuple[Preprocessing, list[str]]]:
    """Return one preprocessing for each kind of geometry, with the names of the experts that have it."""
    kinds: dict[object, tuple[Preprocessing, list[str]]] = {}
    for name, one in preprocessings.items():
        kinds.setdefault((one.size, one.resize, one.crop_share), (one, []))[1].append(name)
    return list(kinds.values())


def _seen(image: Image.Image, preprocessing: Preprocessing) -> Image.Image:
    seen = v2.Compose(resize_and_crop(preprocessing))(pixels(image))
    return Image.fromarray(seen.permute(1, 2, 0).numpy())


def _canvas(rows: Sequence[_Row]) -> Image.Image:
    across, down = CELL + GAP, CELL + CAPTION + GAP
    canvas = Image.new("RGB", (across * len(rows[0].images) - GAP, down * len(rows)), "white")
    pen = ImageDraw.Draw(canvas)
    for row, (images, captions) in enumerate(rows):
        for column, image in enumerate(images):
            cell = image.copy()
            cell.thumbnail((CELL, CELL))
            left, top = ((CELL - side) // 2 for side in cell.size)
            canvas.paste(cell, (across * column + left, down * row + top))
        for column, caption in enumerate(captions):
            pen.text((across * column, down * row + CELL + 2), caption, fill="black", font=_font(), spacing=2)
    return canvas
