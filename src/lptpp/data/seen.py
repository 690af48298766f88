"""What a model sees of the images: their median size, the size of its input, and a picture of both."""

import statistics
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from PIL import Image
from torchvision.transforms import v2

from lptpp.backbones.base import Preprocessing
from lptpp.data.dataset import ImageReference
from lptpp.data.decode import Decoding, image_size, pixels, try_decode
from lptpp.data.transforms import resize_and_crop

Size = tuple[int, int]  # width, height
SAMPLED = 64  # images whose sizes are read if there are more
SHOWN = 6  # images in the picture
CELL, GAP = 160, 8  # pixels
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
    """Return a picture of a few images: as they are in the first row, then as each kind of input; None without any."""
    decoded = [one for image in spread(images, SHOWN) if isinstance(one := try_decode(image, how), Image.Image)]
    rows = [decoded, *([_seen(image, one) for image in decoded] for one in _distinct(preprocessings))]
    return _canvas(rows) if decoded else None


def _distinct(preprocessings: Mapping[str, Preprocessing]) -> list[Preprocessing]:
    """Return one preprocessing for each kind of geometry."""
    return list({(one.size, one.resize, one.crop_share): one for one in preprocessings.values()}.values())


def _seen(image: Image.Image, preprocessing: Preprocessing) -> Image.Image:
    seen = v2.Compose(resize_and_crop(preprocessing))(pixels(image))
    return Image.fromarray(seen.permute(1, 2, 0).numpy())


def _canvas(rows: Sequence[Sequence[Image.Image]]) -> Image.Image:
    step = CELL + GAP
    canvas = Image.new("RGB", (step * len(rows[0]) - GAP, step * len(rows) - GAP), "white")
    for row, images in enumerate(rows):
        for column, image in enumerate(images):
            cell = image.copy()
            cell.thumbnail((CELL, CELL))
            left, top = ((CELL - side) // 2 for side in cell.size)
            canvas.paste(cell, (step * column + left, step * row + top))
    return canvas
